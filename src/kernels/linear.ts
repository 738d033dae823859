/** Linear layers: matvec for one token, matmul for many (shaders/matvec.wgsl, matmul.wgsl). */
import type { Constants } from '../gpu/preprocess';
import { type DeviceMatrix, wholeChunks } from '../memory/layout';

import { MAX_SPLITS } from '../memory/plan';
import type { Activation } from '../model/spec';
import { type Kernel, kernel } from './library';
import { type CodebookTable, matrixConstants, wgslFloat } from './matrix';

/**
 * Shape of a matvec workgroup: `lanes` x `slices` threads, `tile` rows a lane. 'even' takes as many lanes as make an
 * even number of equal workgroups of at most 64: a software adapter has few cores and waits for the last of them.
 */
export interface MatvecShape {
  lanes: number | 'even';
  slices: number;
  tile: number;
  table: CodebookTable;
}

/**
 * Shape of a matmul. In registers: `lanes` threads a workgroup, `tile` rows x `tokens` tokens a thread. Tiled through
 * workgroup memory: 64 rows x 16 * `tokens` tokens a workgroup of 256.
 */
export type MatmulShape =
  | { kind: 'registers'; lanes: number; tile: number; tokens: number; table: CodebookTable }
  | { kind: 'tiled'; tokens: number; table: CodebookTable };

/** What is fused around the product. */
export interface LinearFusion {
  /** RMSNorm of the input, whose rows are the residual stream (matvec only) */
  norm?: { eps: number; offset: 0 | 1 };
  /** the input is what split attention left (matvec only) */
  merge?: { heads: number; headSize: number };
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
  /** where the matrix's rows begin in the output row, and the output row's length */
  outputRow?: number;
  outputStride: number;
}

function fusionConstants(matrix: DeviceMatrix, fusion: LinearFusion): Constants {
  const { norm, merge, gated } = fusion;
  const xWords = wholeChunks(matrix.cols) / 4;
  return {
    NORM: norm !== undefined,
    NORM_WORDS: xWords,
    NORM_OFFSET: norm?.offset ? ' + 1.0' : '',
    EPS: wgslFloat(norm?.eps ?? 0),
    RMS: norm ? ' * rms' : '',
    MERGE: merge !== undefined,
    HEADS: merge?.heads ?? 0,
    HEAD_SIZE: merge?.headSize ?? 1,
    MAX_SPLITS,
    GATED: gated !== undefined,
    GELU: gated === 'gelu_tanh',
    BIAS: fusion.bias ?? false,
    MULTIPLIER: fusion.multiplier ?? false,
    ACCUMULATE: fusion.accumulate ?? false,
    SCALE: wgslFloat(fusion.scale ?? 1),
    SOFTCAP: Boolean(fusion.softcap),
    CAP: wgslFloat(fusion.softcap ?? 1),
    LAST: fusion.last ?? false,
    OUT_ROWS: gated ? matrix.rows / 2 : matrix.rows,
    OUT_AT: fusion.outputRow ?? 0,
    OUT_STRIDE: fusion.outputStride,
    X_STRIDE: matrix.cols / 4,
    X_WORDS: merge ? xWords : matrix.cols / 4,
  };
}

/** Lanes of a workgroup for a matrix of `rows` output rows. */
function lanesFor(rows: number, { lanes, tile }: MatvecShape): number {
  if (lanes !== 'even') return lanes;
  const groups = 2 * Math.ceil(rows / (2 * 64 * tile));
  // SwiftShader runs four lanes at a time.
  return 4 * Math.ceil(rows / (groups * tile * 4));
}

export function matvecKernel(matrix: DeviceMatrix, fusion: LinearFusion, shape: MatvecShape, label: string): Kernel {
  const base = { ...matrixConstants(matrix, shape.table), ...fusionConstants(matrix, fusion) };
  const lanes = lanesFor(Number(base.OUT_ROWS), shape);
  const threads = lanes * shape.slices;
  const sums = shape.tile * threads * (fusion.gated ? 2 : 1);
  return kernel(
    'matvec',
    {
      ...base,
      LANES: lanes,
      SLICES: shape.slices,
      TILE: shape.tile,
      LANES_TILE: lanes * shape.tile,
      THREADS: threads,
      SLICED: shape.slices > 1,
      PARTIALS: sums + (fusion.norm ? threads : 0),
      SQUARES_AT: sums,
      PART: base.SCALED ? 'part' : 'sum',
      UPART: base.SCALED ? 'upart' : 'up',
    },
    label,
  );
}

/** Workgroups of a matvec over `rows` output rows. */
export const matvecGroups = (outputRows: number, shape: MatvecShape): number =>
  Math.ceil(outputRows / (lanesFor(outputRows, shape) * shape.tile));

export function matmulKernel(matrix: DeviceMatrix, fusion: LinearFusion, shape: MatmulShape, label: string): Kernel {
  const base = {
    ...matrixConstants(matrix, shape.table),
    ...fusionConstants(matrix, fusion),
    TOKENS: shape.tokens,
  };
  if (shape.kind === 'tiled') {
    const tiled = { TILE_ROWS: fusion.gated ? 32 : 64, INPUT_WORDS: 16 * shape.tokens * 9, THREADS: 256 };
    return kernel('matmul_tiled', { ...base, ...tiled }, label);
  }
  const tile = tileOf(shape, fusion.gated !== undefined);
  const registers = { LANES: shape.lanes, THREADS: shape.lanes, TILE: tile, LANES_TILE: shape.lanes * tile };
  return kernel('matmul', { ...base, ...registers }, label);
}

/** Rows of gate (and as many of up), or rows, that a thread keeps. */
const tileOf = (shape: { tile: number }, gated: boolean): number => (gated ? Math.max(1, shape.tile / 2) : shape.tile);

/** Workgroups of a matmul over `rows` output rows and `tokens` tokens. */
export function matmulGroups(outputRows: number, tokens: number, gated: boolean, shape: MatmulShape): [number, number] {
  const [rows, columns] =
    shape.kind === 'tiled' ? [gated ? 32 : 64, 16 * shape.tokens] : [shape.lanes * tileOf(shape, gated), shape.tokens];
  return [Math.ceil(outputRows / rows), Math.ceil(tokens / columns)];
}
