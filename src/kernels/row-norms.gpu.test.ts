/** The norms that DoRA divides by, against the CPU's. */
import { afterEach, beforeAll, expect, it } from 'vitest';
import { largestDifference, randomValues } from '../execute/cpu/test/models';
import { LINEAR_CODEBOOK, type MatrixFormat, NF4_CODEBOOK } from '../formats/matrix';
import { rowNormsGroups, rowNormsKernel } from './row-norms';
import { K_QUANTS } from './test/k-quants';
import { cpuRow, deviceMatrix, Lab, matrixBindings, randomSlice } from './test/lab';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterEach(() => lab.dispose());

const FORMATS: [string, MatrixFormat, number][] = [
  ['NF4 in 64', { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK }, 128],
  ['Q4_1', { type: 'q4', block: 32, offset: true, codebook: LINEAR_CODEBOOK }, 96],
  ['q8 in 32', { type: 'q8', block: 32, offset: false }, 96],
  ['Q4_K', K_QUANTS.Q4_K, 512],
  ['Q5_K', K_QUANTS.Q5_K, 256],
  ['Q6_K', K_QUANTS.Q6_K, 512],
  ['nested NF4', { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK, levels: 'nested' }, 576],
  ['q8 by row', { type: 'q8', block: 'row', offset: false }, 96],
  ['bf16', { type: 'bf16' }, 60],
  ['f32', { type: 'f32' }, 60],
];

it.each(FORMATS)('%s: a block of rows within a step', async (_, format, cols) => {
  const [rows, first, all, rank] = [70, 3, 80, 5];
  const slice = randomSlice(format, rows, cols, 7);
  const a = randomValues(rank * cols, 11);
  const b = randomValues(all * rank, 13);
  const wide = Math.ceil(cols / 32) * 32;
  const padded = new Float32Array(rank * wide);
  for (let k = 0; k < rank; k++) padded.set(a.subarray(k * cols, (k + 1) * cols), k * wide);
  const out = lab.buffer(new Float32Array(all).fill(-1));
  const bindings = { ...matrixBindings(lab, format, slice), a: lab.buffer(padded), b: lab.buffer(b), norms: out };
  await lab.run(rowNormsKernel(deviceMatrix(format, rows, cols, first), rank), bindings, [rowNormsGroups(rows)]);
  const expected = new Float32Array(all).fill(-1);
  for (let r = 0; r < rows; r++) {
    const row = cpuRow(format, slice, r);
    for (let k = 0; k < rank; k++) for (let c = 0; c < cols; c++) row[c] += b[(first + r) * rank + k] * a[k * cols + c];
    expected[first + r] = Math.hypot(...row);
  }
  expect(largestDifference(await lab.floats(out), expected) / Math.max(...expected)).toBeLessThan(1e-6);
});
