/** The WGSL that several kernels include, by file name (shaders/lib). */
import activation from '../../shaders/lib/activation.wgsl?raw';
import append from '../../shaders/lib/append.wgsl?raw';
import best from '../../shaders/lib/best.wgsl?raw';
import chunkScale from '../../shaders/lib/chunk-scale.wgsl?raw';
import element from '../../shaders/lib/element.wgsl?raw';
import finish from '../../shaders/lib/finish.wgsl?raw';
import headValue from '../../shaders/lib/head-value.wgsl?raw';
import kept from '../../shaders/lib/kept.wgsl?raw';
import keys from '../../shaders/lib/keys.wgsl?raw';
import kv from '../../shaders/lib/kv.wgsl?raw';
import matrixDense from '../../shaders/lib/matrix-dense.wgsl?raw';
import matrixQ4 from '../../shaders/lib/matrix-q4.wgsl?raw';
import matrixQ5 from '../../shaders/lib/matrix-q5.wgsl?raw';
import matrixQ6 from '../../shaders/lib/matrix-q6.wgsl?raw';
import matrixQ8 from '../../shaders/lib/matrix-q8.wgsl?raw';
import merge from '../../shaders/lib/merge.wgsl?raw';
import noise from '../../shaders/lib/noise.wgsl?raw';
import ring from '../../shaders/lib/ring.wgsl?raw';
import rope from '../../shaders/lib/rope.wgsl?raw';
import rotate from '../../shaders/lib/rotate.wgsl?raw';
import scales from '../../shaders/lib/scales.wgsl?raw';
import scalesK from '../../shaders/lib/scales-k.wgsl?raw';
import scalesNested from '../../shaders/lib/scales-nested.wgsl?raw';
import split from '../../shaders/lib/split.wgsl?raw';
import sum from '../../shaders/lib/sum.wgsl?raw';
import tileRows from '../../shaders/lib/tile-rows.wgsl?raw';
import winner from '../../shaders/lib/winner.wgsl?raw';

export const INCLUDES = {
  activation,
  append,
  best,
  'chunk-scale': chunkScale,
  element,
  finish,
  'head-value': headValue,
  kept,
  keys,
  kv,
  'matrix-dense': matrixDense,
  'matrix-q4': matrixQ4,
  'matrix-q5': matrixQ5,
  'matrix-q6': matrixQ6,
  'matrix-q8': matrixQ8,
  merge,
  noise,
  ring,
  rope,
  rotate,
  split,
  scales,
  'scales-k': scalesK,
  'scales-nested': scalesNested,
  sum,
  'tile-rows': tileRows,
  winner,
};
