/** The WGSL that several kernels include, by file name (shaders/lib). */
import activation from '../../shaders/lib/activation.wgsl?raw';
import best from '../../shaders/lib/best.wgsl?raw';
import chunkScale from '../../shaders/lib/chunk-scale.wgsl?raw';
import digits from '../../shaders/lib/digits.wgsl?raw';
import finish from '../../shaders/lib/finish.wgsl?raw';
import headValue from '../../shaders/lib/head-value.wgsl?raw';
import keys from '../../shaders/lib/keys.wgsl?raw';
import kv from '../../shaders/lib/kv.wgsl?raw';
import matrixDense from '../../shaders/lib/matrix-dense.wgsl?raw';
import matrixQ4 from '../../shaders/lib/matrix-q4.wgsl?raw';
import matrixQ8 from '../../shaders/lib/matrix-q8.wgsl?raw';
import merge from '../../shaders/lib/merge.wgsl?raw';
import noise from '../../shaders/lib/noise.wgsl?raw';
import rope from '../../shaders/lib/rope.wgsl?raw';
import rotate from '../../shaders/lib/rotate.wgsl?raw';
import sum from '../../shaders/lib/sum.wgsl?raw';
import winner from '../../shaders/lib/winner.wgsl?raw';

export const INCLUDES = {
  activation,
  best,
  'chunk-scale': chunkScale,
  digits,
  finish,
  'head-value': headValue,
  keys,
  kv,
  'matrix-dense': matrixDense,
  'matrix-q4': matrixQ4,
  'matrix-q8': matrixQ8,
  merge,
  noise,
  rope,
  rotate,
  sum,
  winner,
};
