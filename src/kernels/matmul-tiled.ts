/** Many tokens' linear layer through workgroup memory, for real GPUs: a variant of matmul.ts, which chooses it. */
import source from '../../shaders/matmul-tiled.wgsl?raw';
import type { Constants } from '../gpu/preprocess';
import { CHUNK_COLUMNS } from '../memory/layout';
import { type Description, kernel } from './kernel';
import { MATRIX_BINDINGS } from './matrix';

export const MATMUL_TILED = {
  label: 'matmul_tiled',
  source,
  bindings: { ...MATRIX_BINDINGS, x: 3, out: 4, bias: 6, state: 7 },
} satisfies Description;

/** A workgroup's tile has `rows` x `lanes[0]` rows and `tokens` x `lanes[1]` tokens. */
export interface TiledShape {
  /** whose sums a thread keeps; an even number, as half of them are gate and half up where the layer is gated */
  rows: number;
  /** whose sums a thread keeps */
  tokens: number;
  /** threads along the tile's rows, and along its tokens: multiples of 8 */
  lanes: readonly [rows: number, tokens: number];
  /**
   * So many times those threads share the columns, for few tokens, where the weights' bandwidth counts. More than one:
   * with 4 rows a thread, at most as many tokens a tile as a step has columns, twice, and no f16.
   */
  slices: number;
  /** columns between two barriers: 8, 16 or 32 */
  step: 8 | 16 | 32;
  /**
   * Tiles of f16, which need the device's shader-f16. Products and their sums over 32 columns are f16 too, and are then
   * added up in f32.
   */
  f16: boolean;
}

/** What follows of a shape. */
function sizesOf({ rows, tokens, lanes, slices, step, f16 }: TiledShape) {
  const tile = [rows * lanes[0], tokens * lanes[1]] as const;
  const threads = lanes[0] * lanes[1];
  const vectors = step / 4;
  // two buffers a slice
  const tileBytes = 2 * slices * (tile[0] + tile[1]) * step * (f16 ? 2 : 4);
  return { tile, threads, vectors, tileBytes };
}

/** Threads of a workgroup, and bytes of workgroup memory that it takes at most: its tiles and a codebook. */
export function tiledNeeds(shape: TiledShape): { threads: number; bytes: number } {
  const { threads, tileBytes } = sizesOf(shape);
  return { threads: threads * shape.slices, bytes: tileBytes + 64 };
}

export function tiledKernel(constants: Constants, gated: boolean, shape: TiledShape, label: string) {
  const { rows, tokens, lanes, slices, step, f16 } = shape;
  const { tile, threads, vectors } = sizesOf(shape);
  const octets = step / 8;
  const partLanes = Math.max(1, threads / tile[0]);
  const chunks = Number(constants.CHUNKS);
  return kernel(
    MATMUL_TILED,
    {
      ...constants,
      HALF_ROWS: rows / 2,
      THREAD_TOKENS: tokens,
      ROW_LANES: lanes[0],
      TOKEN_LANES: lanes[1],
      ...tileRows(gated, tile[0], threads),
      SLICES: slices,
      SLICED: slices > 1,
      THREADS: threads * slices,
      F16: f16,
      TILE_TOKENS: tile[1],
      STEPS: CHUNK_COLUMNS / step,
      VECTORS: vectors,
      // eight words of 16 bytes are all banks once
      LINE_ROWS: 8 / vectors,
      OCTETS: octets,
      PART_LANES: partLanes,
      PARTS: Math.ceil(octets / partLanes),
      WEIGHT_VECTORS: tile[0] * vectors,
      INPUT_VECTORS: tile[1] * vectors,
      X_LOADS: Math.ceil((tile[1] * vectors) / threads),
      BUFFERS: 2 * slices,
      SLICE_CHUNKS: Math.ceil(chunks / slices),
      GUARDED: Boolean(constants.RAGGED) || chunks % slices !== 0,
    },
    label,
  );
}

/** Constants of shaders/lib/tile-rows.wgsl: which of the threads of a slice decodes which rows of a tile. */
export const tileRows = (gated: boolean, rows: number, threads: number) => ({
  SLICE_THREADS: threads,
  TILE_ROWS: rows,
  OUT_TILE_ROWS: gated ? rows / 2 : rows,
  DECODE_ROWS: Math.max(1, rows / threads),
});

/** Rows and tokens of a workgroup's tile. */
export const tiledTile = (shape: TiledShape): readonly [rows: number, tokens: number] => sizesOf(shape).tile;
