/** What shaders/int8-rows.wgsl makes of activations, and products of them: the reference for products of int8. */
import { type MatrixFormat, wholeCodebook } from '../../formats/matrix';
import { CHUNK_COLUMNS } from '../../memory/layout';

/**
 * A row as it is after rounding: of each 32 columns the largest magnitude is 127 units, and every value so many whole
 * units as pack4x8snorm says (WGSL §17.9: floor(0.5 + 127 v)).
 */
export function int8Row(row: Float32Array): Float64Array {
  const out = new Float64Array(row.length);
  for (let from = 0; from < row.length; from += CHUNK_COLUMNS) {
    const chunk = row.subarray(from, from + CHUNK_COLUMNS);
    const most = chunk.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    if (most < 1e-30) continue;
    const unit = Math.fround(most / 127);
    for (let i = 0; i < chunk.length; i++) out[from + i] = unit * Math.floor(0.5 + 127 * Math.fround(chunk[i] / most));
  }
  return out;
}

/** The format with the codebook that such products have in its place: of whole numbers, 127 at most. */
export function int8Format(format: MatrixFormat): MatrixFormat {
  if (format.type !== 'q4') return format;
  const { values, unit } = wholeCodebook(format.codebook, 127);
  return { ...format, codebook: Array.from(values, (value) => value * unit) };
}
