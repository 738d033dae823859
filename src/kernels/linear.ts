/** What the kernels of linear layers fuse around the product: matvec.ts, matmul.ts, matmul-tiled.ts. */
import type { Constants } from '../gpu/preprocess';
import { partialsCount } from '../memory/gpu-scratch';
import { type DeviceMatrix, wholeChunks } from '../memory/layout';
import type { Activation } from '../model/spec';
import { wgslFloat } from './matrix';

/** Heads and the most parts of split attention. */
export interface Parts {
  heads: number;
  headSize: number;
  splits: number;
}

/** Constants of shaders/lib/merge.wgsl. */
export const mergeConstants = (parts: Parts): Constants => ({
  HEADS: parts.heads,
  HEAD_SIZE: parts.headSize,
  MAX_SPLITS: parts.splits,
  COUNT_AT: partialsCount(parts, parts.splits),
});

/** What is fused around the product. */
export interface LinearFusion {
  /** RMSNorm of the input, whose rows are the residual stream (matvec only) */
  norm?: { eps: number; offset: 0 | 1 };
  /** the input is what split attention left, of at most so many parts (matvec only) */
  merge?: Parts;
  /** rows are gate then up */
  gated?: Activation;
  bias?: boolean;
  /** the rows of the product have factors, which follow the biases in their buffer */
  multiplier?: boolean;
  accumulate?: boolean;
  scale?: number;
  softcap?: number | null;
  /** the input row is the last token's (matvec only) */
  last?: boolean;
  /** it does nothing in a pass of no tokens, which was encoded behind the end of an answer (matvec only) */
  calledOff?: boolean;
  /** where the matrix's rows begin in the output row, and the output row's length */
  outputRow?: number;
  outputStride: number;
}

export function fusionConstants(matrix: DeviceMatrix, fusion: LinearFusion): Constants {
  const { norm, merge, gated } = fusion;
  const xWords = wholeChunks(matrix.cols) / 4;
  return {
    NORM: norm !== undefined,
    NORM_WORDS: xWords,
    NORM_PLUS_ONE: norm?.offset === 1,
    EPS: wgslFloat(norm?.eps ?? 0),
    MERGE: merge !== undefined,
    ...(merge ? mergeConstants(merge) : {}),
    GATED: gated !== undefined,
    GELU: gated === 'gelu_tanh',
    BIAS: fusion.bias ?? false,
    MULTIPLIER: fusion.multiplier ?? false,
    ACCUMULATE: fusion.accumulate ?? false,
    SCALE: wgslFloat(fusion.scale ?? 1),
    SOFTCAP: Boolean(fusion.softcap),
    CAP: wgslFloat(fusion.softcap ?? 1),
    LAST: fusion.last ?? false,
    CALLED_OFF: fusion.calledOff ?? false,
    STATE: Boolean(fusion.last || fusion.calledOff),
    OUT_ROWS: gated ? matrix.rows / 2 : matrix.rows,
    OUT_AT: fusion.outputRow ?? 0,
    OUT_STRIDE: fusion.outputStride,
    X_STRIDE: matrix.cols / 4,
    X_WORDS: merge ? xWords : matrix.cols / 4,
  };
}
