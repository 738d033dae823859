/** Dense rows in another type on their way to the GPU: converted as the CPU executor does. Few models need it. */
import type { MatrixFormat, RowSlice } from '../formats/matrix';
import { createMatrix, writeRows } from './cpu/matrix';

/** What loses nothing, or was asked for by name; a matrix that is to be q4 is quantised on the GPU instead. */
export function convertDense(name: string, format: MatrixFormat, slice: Extract<RowSlice, { type: 'dense' }>) {
  const held = createMatrix(name, slice.rows, slice.cols, format);
  writeRows(held, { ...slice, row0: 0 });
  return { codes: new Uint8Array(held.codes.buffer as ArrayBuffer), scales: held.scales };
}
