/** One token's linear layer. Reference: execute/cpu/linear.ts, test: linear.gpu.test.ts. */
import source from '../../shaders/matvec.wgsl?raw';
import { type DeviceMatrix, wholeChunks } from '../memory/layout';
import { type Description, kernel } from './kernel';
import { fusionConstants, type LinearFusion } from './linear';
import { type CodebookTable, MATRIX_BINDINGS, matrixConstants } from './matrix';

/** WebGPU's default maxComputeWorkgroupStorageSize (spec §3.6.2). */
const DEFAULT_WORKGROUP_BYTES = 16384;

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
  /** the input is read once, into workgroup memory, where that has room: worth it for many rows a workgroup */
  staged?: boolean;
  /**
   * slices meet by shuffles: lanes and slices are then powers of two, and the device's profile has subgroups, of any
   * size
   */
  subgroups?: boolean;
}

/** A shape's name in info() and in tables: lanes x slices x tile, then what is special. */
export const matvecName = ({ lanes, slices, tile, table, staged, subgroups }: MatvecShape): string =>
  [`${lanes}x${slices}x${tile}`, subgroups && 'subgroups', staged && 'staged', table === 'constant' && 'constant table']
    .filter(Boolean)
    .join(' ');

/** Lanes of a workgroup for a matrix of `rows` output rows. */
function lanesFor(rows: number, { lanes, tile }: MatvecShape): number {
  if (lanes !== 'even') return lanes;
  const groups = 2 * Math.ceil(rows / (2 * 64 * tile));
  // SwiftShader runs four lanes at a time.
  return 4 * Math.ceil(rows / (groups * tile * 4));
}

/** What a workgroup keeps in its memory, in f32 values. */
function workgroupValues(matrix: DeviceMatrix, fusion: LinearFusion, shape: MatvecShape) {
  const threads = lanesFor(fusion.gated ? matrix.rows / 2 : matrix.rows, shape) * shape.slices;
  const sliced = shape.slices > 1;
  const sums = sliced ? shape.tile * threads * (fusion.gated ? 2 : 1) : 0;
  return { threads, sums, partials: sums + (sliced && fusion.norm ? threads : 0), input: wholeChunks(matrix.cols) };
}

/** The codebook, and what drivers keep for themselves. */
const OTHER_BYTES = 512;

/** Whether a workgroup's memory of so many bytes has room for the input beside the sums. */
export function stagingFits(matrix: DeviceMatrix, fusion: LinearFusion, shape: MatvecShape, bytes: number): boolean {
  const { partials, input } = workgroupValues(matrix, fusion, shape);
  return (partials + input) * 4 + OTHER_BYTES <= bytes;
}

/** @param workgroupBytes of a workgroup's memory on this device: inputs that it has no room for are not staged */
export function matvecKernel(
  matrix: DeviceMatrix,
  fusion: LinearFusion,
  shape: MatvecShape,
  label: string,
  workgroupBytes = DEFAULT_WORKGROUP_BYTES,
) {
  const base = { ...matrixConstants(matrix, shape.table), ...fusionConstants(matrix, fusion) };
  const { threads, sums, partials, input } = workgroupValues(matrix, fusion, shape);
  const lanes = threads / shape.slices;
  const sliced = shape.slices > 1;
  // Threads' squares are added one by one where there are no subgroups: a norm is then not staged.
  const stageable = shape.staged && (!fusion.norm || (sliced && shape.subgroups));
  return kernel(
    MATVEC,
    {
      ...base,
      LANES: lanes,
      SLICES: shape.slices,
      TILE: shape.tile,
      LANES_TILE: lanes * shape.tile,
      THREADS: threads,
      SLICED: sliced,
      SUBGROUPS: sliced && Boolean(shape.subgroups),
      STAGED: Boolean(fusion.merge || (stageable && stagingFits(matrix, fusion, shape, workgroupBytes))),
      STAGED_WORDS: input / 4,
      PARTIALS: partials,
      SQUARES_AT: sums,
    },
    label,
  );
}

/** Workgroups of a matvec over `rows` output rows. */
export const matvecGroups = (outputRows: number, shape: MatvecShape): number =>
  Math.ceil(outputRows / (lanesFor(outputRows, shape) * shape.tile));
