/** Quantised rows as f32: value = codebook[code] * scale (+ offset), or int8 * scale (+ offset). Pure. */
import type { MatrixFormat, RowSlice } from './matrix';

type Quantised = Exclude<RowSlice, { type: 'dense' }>;
type Dense = Extract<RowSlice, { type: 'dense' }>;

/**
 * Rows in pieces of at most `pieceBytes` of f32 (at least one row), in order; products are rounded to f32 once.
 * @param format the tensor's own, which has the codebook of a q4 slice
 */
export function* dequantize(slice: Quantised, format: MatrixFormat, pieceBytes: number): Generator<Dense> {
  const { row0, rows, cols } = slice;
  const step = Math.max(1, Math.floor(pieceBytes / (cols * 4)));
  for (let first = 0; first < rows; first += step) {
    const count = Math.min(step, rows - first);
    const values = slice.type === 'q4' ? fromQ4(slice, format, first, count) : fromQ8(slice, first, count);
    addOffsets(slice, first, values);
    yield { row0: row0 + first, rows: count, cols, type: 'dense', dense: 'f32', data: new Uint8Array(values.buffer) };
  }
}

function fromQ4(slice: Quantised & { type: 'q4' }, format: MatrixFormat, first: number, count: number): Float32Array {
  const codebook = format.type === 'q4' ? format.codebook : [];
  const { cols, block, scales, codes } = slice;
  const start = first * cols;
  return Float32Array.from({ length: count * cols }, (_, i) => {
    const at = start + i;
    const byte = codes[at >> 1];
    return codebook[at & 1 ? byte & 15 : byte >> 4] * scales[Math.floor(at / block)];
  });
}

function fromQ8({ cols, block, scales, codes }: Quantised, first: number, count: number): Float32Array {
  const start = first * cols;
  const values = new Float32Array(count * cols);
  for (let i = 0; i < values.length; i++) values[i] = codes[start + i] * scales[Math.floor((start + i) / block)];
  return values;
}

function addOffsets({ cols, block, offsets }: Quantised, first: number, values: Float32Array): void {
  if (!offsets) return;
  for (let i = 0; i < values.length; i++) values[i] += offsets[Math.floor((first * cols + i) / block)];
}
