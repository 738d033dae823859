/**
 * What every checkpoint format is read into. A matrix is [rows, cols] row-major (rows = outputs, cols = inputs,
 * as PyTorch's nn.Linear); a reader turns the file's own bytes into row slices of one of four shapes, without loss:
 *
 *   q4     value = codebook[code] * scale (+ offset)     16-entry codebook, one scale a block of `block` columns
 *   q8     value = int8 * scale (+ offset)               block of columns, or a whole row (block = cols)
 *   packed blocks as the file has them, which unpack() makes into q4 or q8
 *   dense  f32, f16 or bf16 as stored
 */

/** The type a matrix has where it is computed with. */
export type MatrixType = 'q4' | 'q8' | 'f16' | 'bf16' | 'f32';

/**
 * Scales of two levels, which the GPU keeps as two (memory/layout.ts): GGUF's K-quants, and bitsandbytes'
 * 4 bits with a nested absmax. The CPU holds the product of both levels.
 */
export type TwoLevels = KQuant | 'nested';
export type KQuant = 'Q4_K' | 'Q5_K' | 'Q6_K';

export type MatrixFormat =
  | {
      type: 'q4';
      block: 32 | 64;
      offset: boolean;
      codebook: readonly number[] /* 16 f32 values */;
      levels?: 'Q4_K' | 'nested';
    }
  | { type: 'q8'; block: 32 | 64 | 'row'; offset: boolean; levels?: 'Q5_K' }
  | { type: 'q8'; block: 16; offset: false; levels?: 'Q6_K' }
  | { type: DenseType };

/** The scales of two levels that a format has; null: of one, or none. */
export const levelsOf = (format: MatrixFormat): TwoLevels | null =>
  (format.type === 'q4' || format.type === 'q8' ? format.levels : null) ?? null;

export type DenseType = 'f32' | 'f16' | 'bf16';

/** Codes and statistics of whole rows. */
export type QuantisedRows = {
  /** columns a scale covers: 16, 32, 64 or cols */
  block: number;
  /** rows*cols/block values, flat */
  scales: Float32Array;
  offsets: Float32Array | null;
} & (
  | {
      type: 'q4';
      /**
       * rows*cols/2 bytes; element 2j of the slice (flat, row-major) is the HIGH nibble of byte j (bitsandbytes' order)
       */
      codes: Uint8Array;
      /** what the scales are products of, where they are */
      nested?: NestedScales;
    }
  | { type: 'q8' /** rows*cols */; codes: Int8Array }
);

/**
 * bitsandbytes' double quantisation of a whole tensor: block b's scale is map[codes[b]] * absmax[b >> 8] + offset.
 */
export interface NestedScales {
  codes: Uint8Array;
  /** one a group of NESTED_BLOCK blocks */
  absmax: Float32Array;
  /** 256 values */
  map: Float32Array;
  offset: number;
}

/** Blocks of a group that share a nested absmax: the one size that bitsandbytes' own kernels have. */
export const NESTED_BLOCK = 256;

/** Whole blocks of a K-quant, row-major, as the file has them. */
export interface PackedRows {
  type: 'packed';
  levels: KQuant;
  data: Uint8Array;
  /** bytes of a block, and where in it its numbers of 16 bits stand */
  block: number;
  halves: readonly number[];
  unpack(): QuantisedRows;
}

/** Consecutive rows of one matrix, in the order of the Hugging Face checkpoint (permutations already undone). */
export type RowSlice = { row0: number; rows: number; cols: number } & (
  | QuantisedRows
  | PackedRows
  | { type: 'dense'; dense: DenseType /** rows*cols elements, little-endian, 4-byte aligned start */; data: Uint8Array }
);

/** The arrays that a slice is made of. */
export const arraysOf = (slice: RowSlice): ArrayBufferView[] =>
  slice.type === 'dense' || slice.type === 'packed'
    ? [slice.data]
    : [slice.codes, slice.scales, ...(slice.offsets ? [slice.offsets] : [])];

/** GGUF's quantised types that Nibble reads, by ggml's names; gguf-blocks.ts has how each is read. */
export const BLOCK_TYPE_NAMES = ['Q4_0', 'Q4_1', 'Q4_K', 'IQ4_NL', 'Q5_0', 'Q5_1', 'Q5_K', 'Q6_K', 'Q8_0'] as const;
export type BlockTypeName = (typeof BLOCK_TYPE_NAMES)[number];

/** A matrix (or, with rows = 1, a vector) of a checkpoint, known from the headers alone. */
export interface TensorInfo {
  /** Hugging Face name with `.weight` or `.bias`, also for GGUF, e.g. `model.layers.0.self_attn.q_proj.weight` */
  name: string;
  rows: number;
  cols: number;
  /** How the file holds it; `format` says what it becomes when it is kept as it is (dense: unchanged). */
  stored: DenseType | 'f64' | 'nf4' | 'fp4' | 'int8' | BlockTypeName;
  format: MatrixFormat;
  /** Bytes in the file(s), statistics included. */
  storedBytes: number;
}

/** NF4 of Dettmers et al. 2023 (QLoRA, appendix E), as bitsandbytes holds it in f32. */
export const NF4_CODEBOOK: readonly number[] = [
  -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
  -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
  0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
];

/** The codes of GGUF's Q4_1 and Q4_K are plain integers: value = scale * code + offset. */
export const LINEAR_CODEBOOK: readonly number[] = Array.from({ length: 16 }, (_, i) => i);

/**
 * bitsandbytes' blocks run over the flattened tensor and may straddle rows. Re-blocking by the greatest common divisor
 * of the block and the row length repeats scales but changes no value. Blocks of 64 and 32 have kernels; anything
 * smaller is better kept as f32.
 *
 * @returns the block to compute with, or null when only a dense matrix can hold the tensor exactly.
 */
export function alignedBlock(block: number, cols: number): 32 | 64 | null {
  if (block % 64 === 0 && cols % 64 === 0) return 64;
  if (block % 32 === 0 && cols % 32 === 0) return 32;
  return null;
}

/**
 * The largest value of a q4 codebook in whole numbers, for products of integers: of 16 bits on the CPU (q4Vector16 of
 * execute/cpu/simd.as.ts), of 8 on the GPU (shaders/matmul-tiled.wgsl). With x within 32767, 8 products of values up to
 * 8192 stay within 31 bits and a sign; 127 is an int8's.
 */
export type LargestWhole = 8192 | 127;

export interface WholeCodebook {
  /** [16], none beyond the largest in magnitude */
  values: Int16Array;
  /** what a value of 1 stands for */
  unit: number;
}

const made = { 8192: new WeakMap<readonly number[], WholeCodebook>(), 127: new WeakMap() };

/**
 * The codebook times the factor, of those that make its largest value a whole number within an eighth of `most`, whose
 * rounding changes its values least: not at all where they are whole numbers or, of 8192, fractions of one (GGUF's
 * types, FP4, which needs a multiple of 192), and half as much as a factor taken blindly for NF4.
 */
export function wholeCodebook(codebook: readonly number[], most: LargestWhole): WholeCodebook {
  const known = made[most].get(codebook);
  if (known) return known;
  const largest = Math.max(...codebook.map(Math.abs)) || 1;
  let best = most / largest;
  let least = Number.POSITIVE_INFINITY;
  for (let whole: number = most; whole > (7 / 8) * most; whole--) {
    const factor = whole / largest;
    let error = 0;
    for (const value of codebook) error += (Math.round(value * factor) / factor - value) ** 2;
    if (error >= least) continue;
    least = error;
    best = factor;
  }
  const result = { values: Int16Array.from(codebook, (value) => Math.round(value * best)), unit: 1 / best };
  made[most].set(codebook, result);
  return result;
}
