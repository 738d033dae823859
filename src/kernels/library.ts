/** The WGSL sources, by file name. */
import activate from '../../shaders/activate.wgsl?raw';
import add from '../../shaders/add.wgsl?raw';
import append from '../../shaders/append.wgsl?raw';
import attend from '../../shaders/attend.wgsl?raw';
import embed from '../../shaders/embed.wgsl?raw';
import activation from '../../shaders/lib/activation.wgsl?raw';
import best from '../../shaders/lib/best.wgsl?raw';
import chunkScale from '../../shaders/lib/chunk_scale.wgsl?raw';
import finish from '../../shaders/lib/finish.wgsl?raw';
import headValue from '../../shaders/lib/head_value.wgsl?raw';
import kv from '../../shaders/lib/kv.wgsl?raw';
import matrixDense from '../../shaders/lib/matrix_dense.wgsl?raw';
import matrixQ4 from '../../shaders/lib/matrix_q4.wgsl?raw';
import matrixQ8 from '../../shaders/lib/matrix_q8.wgsl?raw';
import mergeParts from '../../shaders/lib/merge.wgsl?raw';
import rope from '../../shaders/lib/rope.wgsl?raw';
import sum from '../../shaders/lib/sum.wgsl?raw';
import turn from '../../shaders/lib/turn.wgsl?raw';
import matmul from '../../shaders/matmul.wgsl?raw';
import matmulTiled from '../../shaders/matmul_tiled.wgsl?raw';
import matvec from '../../shaders/matvec.wgsl?raw';
import merge from '../../shaders/merge.wgsl?raw';
import norm from '../../shaders/norm.wgsl?raw';
import projectionNorm from '../../shaders/projection_norm.wgsl?raw';
import quantize from '../../shaders/quantize.wgsl?raw';
import rowNorms from '../../shaders/row_norms.wgsl?raw';
import sampleMax from '../../shaders/sample_max.wgsl?raw';
import samplePick from '../../shaders/sample_pick.wgsl?raw';
import scatter from '../../shaders/scatter.wgsl?raw';
import { type Constants, preprocess } from '../gpu/preprocess';

const LIBRARY = {
  activation,
  best,
  chunk_scale: chunkScale,
  finish,
  head_value: headValue,
  kv,
  matrix_dense: matrixDense,
  matrix_q4: matrixQ4,
  matrix_q8: matrixQ8,
  merge: mergeParts,
  rope,
  sum,
  turn,
};

const KERNELS = {
  activate,
  add,
  append,
  attend,
  embed,
  matmul,
  matmul_tiled: matmulTiled,
  matvec,
  merge,
  norm,
  projection_norm: projectionNorm,
  quantize,
  row_norms: rowNorms,
  sample_max: sampleMax,
  sample_pick: samplePick,
  scatter,
};

export type KernelName = keyof typeof KERNELS;

/** A kernel ready to compile. `label` names it in profiles and errors; the code identifies it. */
export interface Kernel {
  label: string;
  code: string;
}

/** Layers and slices ask for the same few again and again; made anew each time they were 40 MiB of garbage a load. */
const made = new Map<string, Kernel>();

export function kernel(name: KernelName, constants: Constants, label: string = name): Kernel {
  const key = JSON.stringify([name, constants, label]);
  const known = made.get(key) ?? kernelFrom(KERNELS[name], constants, label);
  made.set(key, known);
  return known;
}

/** A kernel whose source is not among those that every model needs. */
export function kernelFrom(source: string, constants: Constants, label: string): Kernel {
  return { label, code: preprocess(source, constants, LIBRARY) };
}
