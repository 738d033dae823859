/** Quantised rows as f32: value = codebook[code] * scale (+ offset), or int8 * scale (+ offset). Pure. */
import type { MatrixFormat, RowSlice } from './matrix';

type Quantised = Exclude<RowSlice, { type: 'dense' | 'packed' }>;
type Dense = Extract<RowSlice, { type: 'dense' }>;

/**
 * Rows in pieces of at most `pieceBytes` of f32 (at least one row), in order; products are rounded to f32 once.
 * @param format the tensor's own, which has the codebook of a q4 slice
 */
export function* dequantize(slice: Quantised, format: MatrixFormat, pieceBytes: number): Generator<Dense> {
  const { row0, rows, cols } = slice;
  const codebook = format.type === 'q4' ? format.codebook : [];
  const step = Math.max(1, Math.floor(pieceBytes / (cols * 4)));
  for (let first = 0; first < rows; first += step) {
    const count = Math.min(step, rows - first);
    const values = valuesOf(slice, codebook, first * cols, count * cols);
    yield { row0: row0 + first, rows: count, cols, type: 'dense', dense: 'f32', data: new Uint8Array(values.buffer) };
  }
}

/** `count` elements from `start`, which begins a row and so a block. */
function valuesOf(slice: Quantised, codebook: readonly number[], start: number, count: number): Float32Array {
  const { type, codes, block, scales, offsets } = slice;
  const values = new Float32Array(count);
  for (let i = 0, b = start / block; i < count; b++) {
    const offset = offsets ? offsets[b] : 0;
    for (const end = i + block; i < end; i++) {
      const at = start + i;
      const code = type === 'q8' ? codes[at] : codebook[at & 1 ? codes[at >> 1] & 15 : codes[at >> 1] >> 4];
      values[i] = Math.fround(code * scales[b]) + offset;
    }
  }
  return values;
}
