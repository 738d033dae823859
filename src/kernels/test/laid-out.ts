/** For tests: the kernels' layout of a matrix, memory/layout.ts in words, written a second time. */
import { denseValues } from '../../formats/half';
import type { MatrixFormat, NestedScales, PackedRows, RowSlice } from '../../formats/matrix';
import { CHUNK_COLUMNS, type MatrixBytes, matrixBytes } from '../../memory/layout';

/** [rows, n] to [n / width, rows, width]: how every buffer of a matrix is laid out. */
function transposed<T extends Uint8Array | Float32Array | Uint32Array>(
  from: T,
  to: T,
  rows: number,
  columns: number,
  width: number,
): T {
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++)
      to[(Math.floor(c / width) * rows + r) * width + (c % width)] = from[r * columns + c];
  }
  return to;
}

type LaidOut = { [kind in keyof MatrixBytes]?: Uint8Array };

/** The bytes of a matrix's buffers from a whole slice. */
export function laidOut(format: MatrixFormat, slice: RowSlice): LaidOut {
  if (slice.type === 'packed') return laidOutBlocks(slice);
  const { rows, cols } = slice;
  const source =
    slice.type === 'dense'
      ? slice.data
      : new Uint8Array(slice.codes.buffer, slice.codes.byteOffset, slice.codes.byteLength);
  const bits = (source.length * 8) / (rows * cols);
  const codes = new Uint8Array(matrixBytes(format, rows, cols, 'webgpu').codes);
  transposed(source, codes, rows, (cols * bits) / 8, (CHUNK_COLUMNS * bits) / 8);
  if (slice.type === 'dense') return { codes };
  if (slice.type === 'q4' && slice.nested) return { codes, ...laidOutNested(slice, slice.nested) };
  const statistics = (values: Float32Array) =>
    new Uint8Array(transposed(values, new Float32Array(values.length), rows, values.length / rows, 1).buffer);
  return {
    codes,
    scales: statistics(slice.scales),
    ...(slice.offsets ? { offsets: statistics(slice.offsets) } : {}),
  };
}

/** Four bytes of a row side by side; then what they index, with what is added, and are multiplied by. */
function laidOutNested({ row0, rows, cols, block }: RowSlice & { block: number }, nested: NestedScales): LaidOut {
  const blocks = cols / block;
  const width = Math.ceil(blocks / 4) * 4;
  const bytes = new Uint8Array(rows * width);
  for (let r = 0; r < rows; r++)
    bytes.set(nested.codes.subarray((row0 + r) * blocks, (row0 + r + 1) * blocks), r * width);
  const groups = nested.absmax.subarray((row0 * blocks) >> 8, (((row0 + rows) * blocks - 1) >> 8) + 1);
  const pairs = [...[...nested.map].map((value) => [value, nested.offset]), ...[...groups].map((value) => [value, 0])];
  return {
    scales: transposed(bytes, new Uint8Array(bytes.length), rows, width, 4),
    nested: new Uint8Array(Float32Array.from(pairs.flat()).buffer),
  };
}

/** The bytes of the buffers of a K-quant's rows. */
function laidOutBlocks(slice: RowSlice & PackedRows): LaidOut {
  const { rows, cols, levels, data, block } = slice;
  const unpacked = slice.unpack();
  const code = (i: number) =>
    unpacked.type === 'q8'
      ? unpacked.codes[i] + (levels === 'Q6_K' ? 32 : 0)
      : (unpacked.codes[i >> 1] >> (i & 1 ? 0 : 4)) & 15;
  const codes = new Uint8Array((rows * cols) / 2);
  const width = { Q4_K: 0, Q5_K: 1, Q6_K: 2 }[levels];
  const high = new Uint8Array((rows * cols * width) / 8);
  for (let i = 0; i < rows * cols; i++) {
    if (!width) codes[i >> 1] |= code(i) << (i & 1 ? 0 : 4);
    else {
      // four columns in the lower nibbles of four bytes, the next four above them
      codes[4 * (i >> 3) + (i & 3)] |= (code(i) & 15) << (i & 4);
      const [chunk, quad] = [i >> 5, (i >> 2) & 7];
      const byte = 4 * (width * chunk + ((quad * width) >> 3)) + (i & 3);
      // of six bits signed ones
      const upper = (code(i) >> 4) ^ (width === 2 ? 2 : 0);
      high[byte] |= upper << ((quad * width) & 7);
    }
  }
  const chunks = (from: Uint8Array, bytes: number) =>
    transposed(from, new Uint8Array(from.length), rows, from.length / rows, bytes);
  return {
    codes: chunks(codes, 16),
    scales: levels === 'Q6_K' ? scalesOfSix(data, rows, block) : scalesOfFour(data, rows, block),
    ...(width ? { high: chunks(high, 4 * width) } : {}),
  };
}

/** d and dmin; then the lower bits of sc, of m, and the upper ones of both, as ggml's get_scale_min_k4 has them. */
function scalesOfFour(data: Uint8Array, rows: number, block: number): Uint8Array {
  const blocks = data.length / block;
  const words = new Uint32Array(4 * blocks);
  for (let b = 0; b < blocks; b++) {
    const at = b * block;
    const q = data.subarray(at + 4, at + 16);
    words[4 * b] = shifted(data, at) | (shifted(data, at + 2) << 16);
    for (let j = 0; j < 8; j++) {
      const sc = j < 4 ? q[j] & 63 : (q[j + 4] & 15) | ((q[j - 4] >> 6) << 4);
      const m = j < 4 ? q[j + 4] & 63 : (q[j + 4] >> 4) | ((q[j] >> 6) << 4);
      words[4 * b + 1] |= (sc & 15) << (4 * j);
      words[4 * b + 2] |= (m & 15) << (4 * j);
      words[4 * b + 3] |= ((sc >> 4) | ((m >> 4) << 2)) << (4 * j);
    }
  }
  const from = new Uint8Array(words.buffer);
  return transposed(from, new Uint8Array(from.length), rows, from.length / rows, 16);
}

/** The bits of an f16 at 1024 times its value, as if there were one more exponent. */
function shifted(data: Uint8Array, at: number): number {
  const [value] = denseValues(data.slice(at, at + 2), 'f16');
  if (value === 0) return data[at + 1] << 8;
  const exponent = Math.floor(Math.log2(Math.abs(value)));
  const mantissa = (Math.abs(value) / 2 ** exponent - 1) * 1024;
  return (value < 0 ? 0x8000 : 0) | ((exponent + 25) << 10) | mantissa;
}

/** Sixteen int8 of each block, and d of each. */
function scalesOfSix(data: Uint8Array, rows: number, block: number): Uint8Array {
  const blocks = data.length / block;
  const bytes = new Uint8Array(16 * blocks);
  const of = new Float32Array(blocks);
  for (let b = 0; b < blocks; b++) {
    bytes.set(data.subarray(b * block + 192, b * block + 208), 16 * b);
    [of[b]] = denseValues(data.slice(b * block + 208, b * block + 210), 'f16');
  }
  const out = new Uint8Array(20 * blocks);
  out.set(transposed(bytes, new Uint8Array(bytes.length), rows, bytes.length / rows, 4));
  out.set(new Uint8Array(transposed(of, new Float32Array(blocks), rows, blocks / rows, 1).buffer), 16 * blocks);
  return out;
}
