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

/** Rows and tokens of a workgroup's tile. */
export const tiledTile = ({ rows, tokens, lanes }: TiledShape): [rows: number, tokens: number] => [
  rows * lanes[0],
  tokens * lanes[1],
];

/** What follows of a shape. */
function sizesOf(shape: TiledShape) {
  const { lanes, slices, step, f16 } = shape;
  const [tileRows, tileTokens] = tiledTile(shape);
  const threads = lanes[0] * lanes[1];
  const vectors = step / 4;
  // two buffers a slice
  const tileBytes = 2 * slices * (tileRows + tileTokens) * step * (f16 ? 2 : 4);
  return { tileRows, tileTokens, threads, vectors, tileBytes };
}

/** Threads of a workgroup, and bytes of workgroup memory that it takes at most: its tiles and a codebook. */
export function tiledNeeds(shape: TiledShape): { threads: number; bytes: number } {
  const { threads, tileBytes } = sizesOf(shape);
  return { threads: threads * shape.slices, bytes: tileBytes + 64 };
}

export function tiledKernel(constants: Constants, gated: boolean, shape: TiledShape, label: string) {
  const { rows, tokens, lanes, slices } = shape;
  const { tileRows, tileTokens, threads, vectors } = sizesOf(shape);
  return kernel(
    MATMUL_TILED,
    {
      ...constants,
      ...tileConstants(constants, gated, { ...shape, tile: [tileRows, tileTokens], threads }),
      MATRICES: false,
      HALF_ROWS: rows / 2,
      THREAD_TOKENS: tokens,
      ROW_LANES: lanes[0],
      TOKEN_LANES: lanes[1],
      SLICED: slices > 1,
      // eight words of 16 bytes are all banks once
      LINE_ROWS: 8 / vectors,
      WEIGHT_VECTORS: tileRows * vectors,
      INPUT_VECTORS: tileTokens * vectors,
      BUFFERS: 2 * slices,
    },
    label,
  );
}

/** A tile that the threads of a slice fill, `step` columns at a time. */
export interface Tile {
  tile: readonly [rows: number, tokens: number];
  step: number;
  f16: boolean;
  threads: number;
  slices: number;
}

/** Which thread decodes and fetches what of a tile: the same, whoever multiplies it. */
export function tileConstants(constants: Constants, gated: boolean, { tile, step, f16, threads, slices }: Tile) {
  const [rows, tokens] = tile;
  const [octets, vectors] = [step / 8, step / 4];
  const partLanes = Math.max(1, threads / rows);
  const chunks = Number(constants.CHUNKS);
  return {
    SLICE_THREADS: threads,
    SLICES: slices,
    THREADS: threads * slices,
    F16: f16,
    TILE_ROWS: rows,
    TILE_TOKENS: tokens,
    OUT_TILE_ROWS: gated ? rows / 2 : rows,
    STEPS: CHUNK_COLUMNS / step,
    VECTORS: vectors,
    OCTETS: octets,
    DECODE_ROWS: Math.max(1, rows / threads),
    PART_LANES: partLanes,
    PARTS: Math.ceil(octets / partLanes),
    X_LOADS: Math.ceil((tokens * vectors) / threads),
    SLICE_CHUNKS: Math.ceil(chunks / slices),
    GUARDED: Boolean(constants.RAGGED) || chunks % slices !== 0,
  };
}
