/** Many tokens' linear layer through workgroup memory, for real GPUs: a variant of matmul.ts, which chooses it. */
import source from '../../shaders/matmul-tiled.wgsl?raw';
import { wholeCodebook } from '../formats/matrix';
import type { Constants } from '../gpu/preprocess';
import { INT8_WORDS } from '../memory/gpu-scratch';
import { CHUNK_COLUMNS, type DeviceMatrix } from '../memory/layout';
import { type Description, kernel } from './kernel';
import { MATRIX_BINDINGS, wgslFloat } from './matrix';

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
  /**
   * Tiles of whole numbers, multiplied four at a time (dot4I8Packed), of an input that int8-rows.ts has rounded; one
   * slice, whole chunks a step, at most as many tokens a thread as lanes along rows. Matrices of 16 and 32 bits get
   * `exact()`.
   */
  int8?: boolean;
}

/** The same tile of values, for matrices whose weights are no whole numbers: as much workgroup memory, or less. */
export const exact = (shape: TiledShape): TiledShape => ({ ...shape, int8: false, step: 8 });

/** What follows of a shape. */
function sizesOf({ rows, tokens, lanes, slices, step, f16, int8 }: TiledShape) {
  const tile = [rows * lanes[0], tokens * lanes[1]] as const;
  const threads = lanes[0] * lanes[1];
  const vectors = step / (int8 ? 16 : 4);
  // two buffers a slice; of int8 with two numbers of each row and token
  const tileBytes = 2 * slices * (tile[0] + tile[1]) * (int8 ? step + 8 : step * (f16 ? 2 : 4));
  return { tile, threads, vectors, tileBytes };
}

/** Threads of a workgroup, and bytes of workgroup memory that it takes at most: its tiles and a codebook. */
export function tiledNeeds(shape: TiledShape): { threads: number; bytes: number } {
  const { threads, tileBytes } = sizesOf(shape);
  return { threads: threads * shape.slices, bytes: tileBytes + 64 };
}

/** What products of int8 take a matrix's codes for, and its input's words. */
function int8Constants({ format }: Pick<DeviceMatrix, 'format'>, { LINEAR, CHUNKS }: Constants): Constants {
  // codes that are values less a constant are whole numbers already
  const whole = format.type === 'q4' && !LINEAR ? wholeCodebook(format.codebook, 127) : null;
  return {
    INT8: true,
    ...(whole ? { CODEBOOK: Array.from(whole.values, wgslFloat).join(', ') } : {}),
    CODE_UNIT: wgslFloat(whole?.unit ?? 1),
    X_CHUNK: INT8_WORDS,
    X_WORDS: INT8_WORDS * Number(CHUNKS),
  };
}

export function tiledKernel(
  matrix: Pick<DeviceMatrix, 'format'>,
  constants: Constants,
  gated: boolean,
  given: TiledShape,
  label: string,
) {
  // where 16 columns have a scale, products of 16 are added up
  const shape: TiledShape = given.int8 && constants.HALVES ? { ...given, step: 16 } : given;
  const { rows, tokens, lanes, slices, step, f16, int8 = false } = shape;
  const { tile, threads, vectors } = sizesOf(shape);
  const octets = step / 8;
  const parts = int8 ? vectors : octets;
  const partLanes = Math.max(1, threads / tile[0]);
  const chunks = Number(constants.CHUNKS);
  return kernel(
    MATMUL_TILED,
    {
      ...constants,
      CODE_UNIT: '1.0',
      X_CHUNK: CHUNK_COLUMNS / 4,
      X_WORDS: constants.X_STRIDE,
      ...(int8 ? int8Constants(matrix, constants) : {}),
      TOTALS: f16 || int8,
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
      PARTS: Math.ceil(parts / partLanes),
      WEIGHT_VECTORS: tile[0] * vectors,
      INPUT_VECTORS: tile[1] * vectors,
      X_LOADS: Math.ceil((tile[1] * vectors) / threads),
      BUFFERS: 2 * slices,
      SLICE_CHUNKS: Math.ceil(chunks / slices),
      GUARDED: !int8 && (Boolean(constants.RAGGED) || chunks % slices !== 0),
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
