/** One token's linear layer. Reference: execute/cpu/linear.ts, test: linear.gpu.test.ts. */
import source from '../../shaders/matvec.wgsl?raw';
import type { DeviceMatrix } from '../memory/layout';
import { type Description, kernel } from './kernel';
import { fusionConstants, type LinearFusion } from './linear';
import { type CodebookTable, MATRIX_BINDINGS, matrixConstants } from './matrix';

export const MATVEC = {
  label: 'matvec',
  source,
  bindings: { ...MATRIX_BINDINGS, x: 3, out: 4, norm_weight: 5, bias: 6, state: 7 },
} satisfies Description;

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

/** Lanes of a workgroup for a matrix of `rows` output rows. */
function lanesFor(rows: number, { lanes, tile }: MatvecShape): number {
  if (lanes !== 'even') return lanes;
  const groups = 2 * Math.ceil(rows / (2 * 64 * tile));
  // SwiftShader runs four lanes at a time.
  return 4 * Math.ceil(rows / (groups * tile * 4));
}

export function matvecKernel(matrix: DeviceMatrix, fusion: LinearFusion, shape: MatvecShape, label: string) {
  const base = { ...matrixConstants(matrix, shape.table), ...fusionConstants(matrix, fusion) };
  const lanes = lanesFor(Number(base.OUT_ROWS), shape);
  const threads = lanes * shape.slices;
  const sums = shape.tile * threads * (fusion.gated ? 2 : 1);
  return kernel(
    MATVEC,
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
    },
    label,
  );
}

/** Workgroups of a matvec over `rows` output rows. */
export const matvecGroups = (outputRows: number, shape: MatvecShape): number =>
  Math.ceil(outputRows / (lanesFor(outputRows, shape) * shape.tile));
