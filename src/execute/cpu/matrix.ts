/** A weight matrix on the CPU: row-major, in the plan's own type, byte for byte what the plan says. */
import { NibbleError } from '../../errors';
import { denseValues, f16Table, toBf16, toF16 } from '../../formats/half';
import { arraysOf, type MatrixFormat, type RowSlice } from '../../formats/matrix';
import { quantizeInt8 } from '../../formats/quantize-int8';
import { quantizeNf4 } from '../../formats/quantize-nf4';
import { release } from '../../platform/release';
import type { Bank, Place } from './bank';

export interface CpuMatrix {
  readonly name: string;
  readonly rows: number;
  readonly cols: number;
  readonly format: MatrixFormat;
  /** columns that a scale covers; 0 for dense types */
  readonly block: number;
  /** q4: two a byte, the first in the high nibble; q8: int8; f16, bf16: bit patterns; f32: values */
  readonly codes: Uint8Array | Int8Array | Uint16Array | Float32Array;
  /** [rows, cols / block] */
  readonly scales: Float32Array | null;
  readonly offsets: Float32Array | null;
  /** where these arrays lie; null: in memory of their own */
  readonly bank: Bank | null;
  /** rows written so far; slices come in order */
  filled: number;
}

/** @param place where it lies; absent: in memory of its own */
export function createMatrix(name: string, rows: number, cols: number, format: MatrixFormat, place?: Place): CpuMatrix {
  const quantised = format.type === 'q4' || format.type === 'q8' ? format : null;
  const block = quantised ? (quantised.block === 'row' ? cols : quantised.block) : 0;
  const statistics = block ? (rows * cols) / block : 0;
  const elements = format.type === 'q4' ? (rows * cols) / 2 : rows * cols;
  const make = <T>(type: ArrayType<T>, kind: keyof Place['at'], count: number): T =>
    place ? new type(place.bank.buffer, place.at[kind], count) : new type(count);
  return {
    name,
    rows,
    cols,
    format,
    block,
    codes: make<CpuMatrix['codes']>(CODES[format.type], 'codes', elements),
    scales: quantised ? make(Float32Array, 'scales', statistics) : null,
    offsets: quantised?.offset ? make(Float32Array, 'offsets', statistics) : null,
    bank: place?.bank ?? null,
    filled: 0,
  };
}

interface ArrayType<T> {
  new (buffer: ArrayBufferLike, at: number, count: number): T;
  new (count: number): T;
}

const CODES: Record<MatrixFormat['type'], ArrayType<CpuMatrix['codes']>> = {
  q4: Uint8Array,
  q8: Int8Array,
  f16: Uint16Array,
  bf16: Uint16Array,
  f32: Float32Array,
};

export function matrixBytes({ codes, scales, offsets }: CpuMatrix): number {
  return codes.byteLength + (scales?.byteLength ?? 0) + (offsets?.byteLength ?? 0);
}

/**
 * Puts a slice in its rows. Codes are copied, their scales repeated where this matrix has smaller blocks; dense values
 * are converted: to NF4 with bitsandbytes' codes, to int8 by absmax / 127, to 16 bits by rounding to nearest even.
 * @throws corrupt-checkpoint when the slice does not fit or does not follow the one before it
 */
export function writeRows(matrix: CpuMatrix, slice: RowSlice): void {
  const { name, rows, cols, format, filled } = matrix;
  const end = slice.row0 + slice.rows;
  if (slice.row0 !== filled || slice.cols !== cols || end > rows) {
    throw new NibbleError(
      'corrupt-checkpoint',
      `${name}: rows ${slice.row0} to ${end} of ${slice.cols} columns came, row ${filled} of [${rows}, ${cols}] is next.`,
      { name, row0: slice.row0, end, cols: slice.cols, filled },
    );
  }
  if (slice.type === 'packed') {
    const unpacked = { ...slice, ...slice.unpack() };
    copyCodes(matrix, unpacked);
    release(...arraysOf(unpacked));
  } else if (slice.type !== 'dense') copyCodes(matrix, slice);
  else {
    const values = denseValues(slice.data, slice.dense);
    if (format.type === 'q4') quantizeToNf4(matrix, values);
    else if (format.type === 'q8') quantizeToInt8(matrix, values);
    else
      matrix.codes.set(
        format.type === 'f32' ? values : values.map(format.type === 'f16' ? toF16 : toBf16),
        filled * cols,
      );
  }
  matrix.filled = end;
}

function copyCodes(matrix: CpuMatrix, slice: Exclude<RowSlice, { type: 'dense' | 'packed' }>): void {
  const { name, codes, scales, offsets, cols, block, format, filled } = matrix;
  const repeat = slice.block / block;
  if (slice.type !== format.type || !scales || !Number.isInteger(repeat) || !slice.offsets !== !offsets) {
    throw new NibbleError(
      'unsupported-quantization',
      `${name} is stored as ${slice.type} in blocks of ${slice.block} and cannot be held as ${format.type}; load it with weights "keep".`,
      { name, stored: slice.type, block: slice.block, wanted: format.type },
    );
  }
  codes.set(slice.codes, (filled * cols) / (format.type === 'q4' ? 2 : 1));
  const first = (filled * cols) / block;
  repeatInto(scales, first, slice.scales, repeat);
  if (offsets) repeatInto(offsets, first, slice.offsets!, repeat);
}

/** Each value `repeat` times, from out[at] on. */
function repeatInto(out: Float32Array, at: number, values: Float32Array, repeat: number): void {
  if (repeat === 1) out.set(values, at);
  else for (let i = 0; i < values.length; i++) out.fill(values[i], at + i * repeat, at + (i + 1) * repeat);
}

function quantizeToNf4({ codes, scales, cols, block, filled }: CpuMatrix, values: Float32Array): void {
  const made = quantizeNf4(values, block);
  codes.set(made.codes, (filled * cols) / 2);
  scales!.set(made.absmax, (filled * cols) / block);
}

function quantizeToInt8({ codes, scales, cols, block, filled }: CpuMatrix, values: Float32Array): void {
  const made = quantizeInt8(values, block);
  codes.set(made.codes, filled * cols);
  scales!.set(made.scales, (filled * cols) / block);
}

/** The values of row `row`, into out[at..at + cols). */
export function rowValues(matrix: CpuMatrix, row: number, out: Float64Array, at: number): void {
  const { cols, block, format, codes, scales, offsets } = matrix;
  const start = row * cols;
  if (format.type === 'f32') out.set(codes.subarray(start, start + cols), at);
  else if (format.type === 'f16' || format.type === 'bf16') {
    const values = halfTable(format.type);
    for (let c = 0; c < cols; c++) out[at + c] = values[codes[start + c]];
  } else {
    const codebook = format.type === 'q4' ? format.codebook : null;
    for (let c = 0; c < cols; c += block) {
      const b = (start + c) / block;
      const [scale, offset] = [scales![b], offsets ? offsets[b] : 0];
      if (codebook) expandQ4(codes as Uint8Array, (start + c) / 2, codebook, scale, offset, out, at + c, block);
      else expandQ8(codes as Int8Array, start + c, scale, offset, out, at + c, block);
    }
  }
}

function expandQ4(
  codes: Uint8Array,
  from: number,
  codebook: readonly number[],
  scale: number,
  offset: number,
  out: Float64Array,
  at: number,
  count: number,
): void {
  for (let i = from, o = at; o < at + count; i++, o += 2) {
    const byte = codes[i];
    out[o] = codebook[byte >> 4] * scale + offset;
    out[o + 1] = codebook[byte & 15] * scale + offset;
  }
}

function expandQ8(
  codes: Int8Array,
  from: number,
  scale: number,
  offset: number,
  out: Float64Array,
  at: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) out[at + i] = codes[from + i] * scale + offset;
}

let bf16Table: Float32Array | null = null;

/** The value of every 16-bit pattern. */
export function halfTable(type: 'f16' | 'bf16'): Float32Array {
  if (type === 'f16') return f16Table();
  bf16Table ??= new Float32Array(Uint32Array.from({ length: 65536 }, (_, bits) => bits << 16).buffer);
  return bf16Table;
}
