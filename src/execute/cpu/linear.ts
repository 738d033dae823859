/**
 * y = x W^T on the CPU: the one place where speed matters here. Two ways, chosen by the number of tokens:
 *
 * few tokens   q4 by table: for 64 columns, the 256 sums that a byte of two codes can stand for are made once for each
 *              of its 32 places; a row then costs one load and one addition for two weights. Twice as fast as
 *              dequantising (1.2 to 1.8 against 0.8 GMAC/s, one core, V8), and shared by all rows that read x.
 * many tokens  two rows are dequantised, then multiplied with four tokens at a time in registers (2.2 GMAC/s; four
 *              rows by four tokens spill: 1.8). Float64Array beats Float32Array, which V8 converts at every load.
 *
 * Sums are f64, results are rounded to f32 once. At Gemma-7B's geometry one step takes seconds, so it is cut into
 * pieces by rows (by table: by blocks of columns, whose tables are made once), between which a caller can do something
 * else.
 */
import { FEW } from '../../memory/cpu-scratch';
import { finish, type LinearRun, TOKENS } from './linear-run';
import { type CpuMatrix, halfTable, rowValues } from './matrix';
import { TIME_SLICE } from './time-slice';

/** Buffers shared by all linear steps of a model. */
export type LinearScratch = Record<'x' | 'y' | 'tile' | 'table', Float64Array>;

/**
 * `scratch` is its own until the end.
 * @yields multiplications since it last did, 2 * TIME_SLICE at most
 */
export function* linear(run: LinearRun, scratch: LinearScratch): Generator<number, void> {
  const { input, inputAt, tokens, matrices } = run;
  const { cols } = run.step;
  const { x } = scratch;
  for (let i = 0; i < tokens * cols; i++) x[i] = input[inputAt + i];
  if (tokens <= FEW) {
    for (let t = 0; t < tokens; t++) {
      yield* matricesTimesVector(matrices, t * cols, scratch);
      let first = 0;
      for (let m = 0; m < matrices.length; m++) {
        finish(run, m, scratch.y, { from: first, row: 1, token: 0 }, 0, matrices[m].rows, first, t, t + 1);
        first += matrices[m].rows;
      }
    }
    return;
  }
  const padded = Math.ceil(tokens / TOKENS) * TOKENS;
  x.fill(0, tokens * cols, padded * cols);
  // rows go in pairs
  const step = 2 * Math.max(1, Math.floor(TIME_SLICE / (2 * padded * cols)));
  let first = 0;
  let done = 0;
  for (let m = 0; m < matrices.length; m++) {
    for (let row = 0; row < matrices[m].rows; row += step) {
      const end = Math.min(row + step, matrices[m].rows);
      matrixTimesTokens(run, m, row, end, first, scratch);
      done += (end - row) * padded * cols;
      if (done >= TIME_SLICE) {
        yield done;
        done = 0;
      }
    }
    first += matrices[m].rows;
  }
}

/** y = all rows of all matrices times x[at..at + cols). */
function* matricesTimesVector(
  matrices: readonly CpuMatrix[],
  at: number,
  scratch: LinearScratch,
): Generator<number, void> {
  let first = 0;
  let done = 0;
  for (let m = 0; m < matrices.length; m++) {
    const { format, block, cols } = matrices[m];
    if (format.type !== 'q4') {
      const { rows } = matrices[m];
      const step = Math.max(1, Math.floor(TIME_SLICE / cols));
      for (let row = 0; row < rows; row += step) {
        const end = Math.min(row + step, rows);
        matrixTimesVector(matrices[m], row, end, at, scratch, first);
        done += (end - row) * cols;
        if (done >= TIME_SLICE) {
          yield done;
          done = 0;
        }
      }
      first += rows;
      continue;
    }
    // Neighbours of the same type share the tables of x.
    let end = m + 1;
    while (end < matrices.length && sharesTable(matrices[end], matrices[m])) end++;
    const group = matrices.slice(m, end);
    const rows = group.reduce((sum, matrix) => sum + matrix.rows, 0);
    scratch.y.fill(0, first, first + rows);
    for (let k = 0; k < cols / block; k++) {
      const sum = fillTable(scratch.table, format.codebook, scratch.x, at + k * block, block);
      let row = first;
      for (const matrix of group) {
        addBlockByTable(
          matrix.codes as Uint8Array,
          matrix.scales!,
          scratch.table,
          scratch.y,
          row,
          matrix.rows,
          matrix.cols,
          block,
          k,
        );
        if (matrix.offsets) addOffsets(matrix.offsets, sum, scratch.y, row, matrix.rows, matrix.cols / block, k);
        row += matrix.rows;
      }
      done += rows * block;
      if (done >= TIME_SLICE) {
        yield done;
        done = 0;
      }
    }
    first += rows;
    m = end - 1;
  }
}

function sharesTable(a: CpuMatrix, b: CpuMatrix): boolean {
  if (a.format.type !== 'q4' || b.format.type !== 'q4' || a.block !== b.block) return false;
  const other = b.format.codebook;
  return a.format.codebook.every((value, i) => value === other[i]);
}

/**
 * table[j * 256 + byte] = the two products that `byte` stands for at columns 2j, 2j + 1. @returns the block's sum of x
 */
function fillTable(
  table: Float64Array,
  codebook: readonly number[],
  x: Float64Array,
  at: number,
  block: number,
): number {
  let sum = 0;
  let o = 0;
  for (let c = at; c < at + block; c += 2) {
    const even = x[c];
    const odd = x[c + 1];
    sum += even + odd;
    for (let high = 0; high < 16; high++) {
      const product = codebook[high] * even;
      for (let low = 0; low < 16; low++) table[o++] = product + codebook[low] * odd;
    }
  }
  return sum;
}

/** y[first + r] += scale * (block k of row r times x), by table. */
function addBlockByTable(
  codes: Uint8Array,
  scales: Float32Array,
  table: Float64Array,
  y: Float64Array,
  first: number,
  rows: number,
  cols: number,
  block: number,
  k: number,
): void {
  const bytes = block >> 1;
  const rowBytes = cols >> 1;
  const blocks = cols / block;
  for (let r = 0; r < rows; r++) {
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    let p = r * rowBytes + k * bytes;
    const end = p + bytes;
    for (let t = 0; p < end; p += 4, t += 1024) {
      a += table[t | codes[p]];
      b += table[(t + 256) | codes[p + 1]];
      c += table[(t + 512) | codes[p + 2]];
      d += table[(t + 768) | codes[p + 3]];
    }
    y[first + r] += scales[r * blocks + k] * (a + b + c + d);
  }
}

function addOffsets(
  offsets: Float32Array,
  sum: number,
  y: Float64Array,
  first: number,
  rows: number,
  blocks: number,
  k: number,
): void {
  for (let r = 0; r < rows; r++) y[first + r] += offsets[r * blocks + k] * sum;
}

/** Rows from..end of a matrix that is not q4, one by one; y[first] is row 0's. */
function matrixTimesVector(
  matrix: CpuMatrix,
  from: number,
  end: number,
  at: number,
  { x, y, tile }: LinearScratch,
  first: number,
): void {
  const { cols, block, format, codes, scales, offsets } = matrix;
  if (format.type === 'q8' && !offsets)
    int8TimesVector(codes as Int8Array, scales!, x, at, y, first, from, end, cols, block);
  else if (format.type === 'f16' || format.type === 'bf16') {
    halfTimesVector(codes as Uint16Array, halfTable(format.type), x, at, y, first, from, end, cols);
  } else {
    for (let r = from; r < end; r++) {
      rowValues(matrix, r, tile, 0);
      y[first + r] = dot(tile, x, at, cols);
    }
  }
}

function dot(tile: Float64Array, x: Float64Array, at: number, cols: number): number {
  let sum = 0;
  for (let c = 0; c < cols; c++) sum += tile[c] * x[at + c];
  return sum;
}

function int8TimesVector(
  codes: Int8Array,
  scales: Float32Array,
  x: Float64Array,
  at: number,
  y: Float64Array,
  first: number,
  from: number,
  end: number,
  cols: number,
  block: number,
): void {
  const blocks = cols / block;
  let r = from;
  // four rows share what is loaded of x: 1.6 times as fast as one by one
  for (; r + 3 < end; r += 4) {
    const p0 = r * cols;
    const p1 = p0 + cols;
    const p2 = p1 + cols;
    const p3 = p2 + cols;
    const s = r * blocks;
    let [y0, y1, y2, y3] = [0, 0, 0, 0];
    for (let k = 0; k < blocks; k++) {
      let a = 0;
      let b = 0;
      let c = 0;
      let d = 0;
      for (let i = k * block; i < (k + 1) * block; i++) {
        const v = x[at + i];
        a += codes[p0 + i] * v;
        b += codes[p1 + i] * v;
        c += codes[p2 + i] * v;
        d += codes[p3 + i] * v;
      }
      y0 += scales[s + k] * a;
      y1 += scales[s + blocks + k] * b;
      y2 += scales[s + 2 * blocks + k] * c;
      y3 += scales[s + 3 * blocks + k] * d;
    }
    y[first + r] = y0;
    y[first + r + 1] = y1;
    y[first + r + 2] = y2;
    y[first + r + 3] = y3;
  }
  for (; r < end; r++) {
    let sum = 0;
    for (let k = 0; k < blocks; k++) {
      let a = 0;
      for (let i = k * block; i < (k + 1) * block; i++) a += codes[r * cols + i] * x[at + i];
      sum += scales[r * blocks + k] * a;
    }
    y[first + r] = sum;
  }
}

function halfTimesVector(
  codes: Uint16Array,
  values: Float32Array,
  x: Float64Array,
  at: number,
  y: Float64Array,
  first: number,
  from: number,
  end: number,
  cols: number,
): void {
  let p = from * cols;
  for (let r = from; r < end; r++) {
    let sum = 0;
    for (let c = at; c < at + cols; c++) sum += values[codes[p++]] * x[c];
    y[first + r] = sum;
  }
}

/** output[t, first + r] for rows from..end of matrix `m` and every token. */
function matrixTimesTokens(
  run: LinearRun,
  m: number,
  from: number,
  end: number,
  first: number,
  { x, y, tile }: LinearScratch,
): void {
  const { tokens } = run;
  const matrix = run.matrices[m];
  const { rows, cols } = matrix;
  for (let r = from; r < end; r += 2) {
    rowValues(matrix, r, tile, 0);
    // An odd last row goes through with a stale neighbour, whose results nobody reads.
    if (r + 1 < rows) rowValues(matrix, r + 1, tile, cols);
    for (let t = 0; t < tokens; t += TOKENS) twoRowsFourTokens(tile, x, t * cols, cols, y, 2 * t);
    finish(run, m, y, { from: 0, row: 1, token: 2 }, r, Math.min(r + 2, rows), first, 0, tokens);
  }
}

/** y[2t + i] = row i of the tile times token t, for four tokens. */
function twoRowsFourTokens(
  w: Float64Array,
  x: Float64Array,
  at: number,
  cols: number,
  y: Float64Array,
  o: number,
): void {
  const x1 = at + cols;
  const x2 = x1 + cols;
  const x3 = x2 + cols;
  let a0 = 0;
  let a1 = 0;
  let a2 = 0;
  let a3 = 0;
  let b0 = 0;
  let b1 = 0;
  let b2 = 0;
  let b3 = 0;
  for (let c = 0; c < cols; c++) {
    const p = w[c];
    const q = w[cols + c];
    let v = x[at + c];
    a0 += p * v;
    b0 += q * v;
    v = x[x1 + c];
    a1 += p * v;
    b1 += q * v;
    v = x[x2 + c];
    a2 += p * v;
    b2 += q * v;
    v = x[x3 + c];
    a3 += p * v;
    b3 += q * v;
  }
  y[o] = a0;
  y[o + 1] = b0;
  y[o + 2] = a1;
  y[o + 3] = b1;
  y[o + 4] = a2;
  y[o + 5] = b2;
  y[o + 6] = a3;
  y[o + 7] = b3;
}
