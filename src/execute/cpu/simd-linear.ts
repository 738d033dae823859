/**
 * linear.ts in WebAssembly: matrices are multiplied where they lie, by the instance of their bank; x is copied to it,
 * and sums come back, which are finished as linear.ts does. Threads share the rows. Matrices that are in no bank
 * (adapters') come through working arrays of attention, some rows at a time.
 */

import { wholeCodebook } from '../../formats/matrix';
import { FEW } from '../../memory/cpu-scratch';
import { roundUp } from '../../memory/layout';
import type { Bank, SimdInstance } from './bank';
import { type LinearScratch, linear } from './linear';
import { finish, type LinearRun, TOKENS } from './linear-run';
import type { CpuMatrix } from './matrix';
import { TIME_SLICE } from './time-slice';

/** Addresses of some rows' codes and statistics; 0: there are none. */
interface Rows {
  codes: number;
  scales: number;
  offsets: number;
}

/** As linear(), with `base` for matrices that are in no bank. */
export function* simdLinear(run: LinearRun, scratch: LinearScratch, base: Bank): Generator<number, void> {
  const { tokens, matrices } = run;
  if (!matrices.every((matrix) => mostRows(run, matrix, bankOf(matrix, base)) > 0)) {
    yield* linear(run, scratch);
    return;
  }
  const { cols } = run.step;
  const padded = tokens <= FEW ? tokens : roundUp(tokens, TOKENS);
  let filled: Bank | null = null;
  let first = 0;
  let done = 0;
  for (const [m, matrix] of matrices.entries()) {
    const bank = bankOf(matrix, base);
    if (bank !== filled) putInput(run, bank.simd!);
    filled = bank;
    putCodebook(bank.simd!, matrix);
    if (tokens <= FEW) putBlocks(run, matrix, bank.simd!);
    const step = mostRows(run, matrix, bank);
    for (let row = 0; row < matrix.rows; row += step) {
      const end = Math.min(row + step, matrix.rows);
      const rows = matrix.bank === bank ? placed(matrix, row) : copied(matrix, row, end, bank.simd!);
      if (tokens <= FEW) timesVectors(run, m, rows, row, end, first, bank.simd!);
      else timesTokens(run, m, rows, row, end, first, bank.simd!);
      done += (end - row) * padded * cols;
      if (done >= TIME_SLICE) {
        yield done;
        done = 0;
      }
    }
    first += matrix.rows;
  }
}

const bankOf = ({ bank }: CpuMatrix, base: Bank): Bank => (bank?.simd ? bank : base);

/** Bytes of one row's codes, and of its scales or offsets. */
function rowBytes({ codes, scales, rows }: CpuMatrix): { codes: number; statistics: number } {
  return { codes: codes.byteLength / rows, statistics: scales ? scales.byteLength / rows : 0 };
}

/** Rows that one call may take: a piece of work, and what there is room for. 0: not with this bank. */
function mostRows({ tokens, step: { cols } }: LinearRun, matrix: CpuMatrix, { simd }: Bank): number {
  const stride = roundUp(cols, 4);
  const padded = tokens <= FEW ? tokens : roundUp(tokens, TOKENS);
  if (!simd || padded * stride > simd.room.x || 2 * stride > simd.room.tile || FEW * cols > 2 * simd.room.words)
    return 0;
  const bytes = rowBytes(matrix);
  const room = matrix.bank?.simd
    ? Number.POSITIVE_INFINITY
    : (simd.threads[0].y - simd.at.query - 48) / (bytes.codes + 2 * bytes.statistics);
  const most = Math.floor(Math.min(room, simd.room.y / padded, TIME_SLICE / (padded * cols)));
  // rows of many tokens go in pairs
  return tokens <= FEW ? (room < 1 ? 0 : Math.max(1, most)) : room < 2 ? 0 : Math.max(2, most & ~1);
}

function placed(matrix: CpuMatrix, row: number): Rows {
  const { codes, scales, offsets } = matrix;
  const first = { codes: codes.byteOffset, scales: scales?.byteOffset ?? 0, offsets: offsets?.byteOffset ?? 0 };
  return rowsFrom(first, rowBytes(matrix), row);
}

/** Of some rows, those from `row`. */
const rowsFrom = ({ codes, scales, offsets }: Rows, bytes: ReturnType<typeof rowBytes>, row: number): Rows => ({
  codes: codes + row * bytes.codes,
  scales: scales && scales + row * bytes.statistics,
  offsets: offsets && offsets + row * bytes.statistics,
});

function copied(matrix: CpuMatrix, row: number, end: number, simd: SimdInstance): Rows {
  const bytes = rowBytes(matrix);
  // attention's arrays are one after the other, up to the sums of a linear step
  let at = simd.at.query;
  const copy = (array: CpuMatrix['codes'] | null, perRow: number) => {
    if (!array) return 0;
    const from = new Uint8Array(array.buffer, array.byteOffset + row * perRow, (end - row) * perRow);
    simd.bytes.set(from, at);
    const address = at;
    at += roundUp(from.length, 16);
    return address;
  };
  const { codes, scales, offsets } = matrix;
  return {
    codes: copy(codes, bytes.codes),
    scales: copy(scales, bytes.statistics),
    offsets: copy(offsets, bytes.statistics),
  };
}

/**
 * x as the products want it: many tokens in rows of whole 16 bytes, a multiple of 4 of them, with 0 between; few also
 * in 16 bits where products are.
 */
function putInput({ input, inputAt, tokens, step: { cols } }: LinearRun, simd: SimdInstance): void {
  const { floats, at, exports } = simd;
  const x = at.x / 4;
  const stride = tokens <= FEW ? cols : roundUp(cols, 4);
  if (tokens > FEW) floats.fill(0, x, x + roundUp(tokens, TOKENS) * stride);
  for (let t = 0; t < tokens; t++) {
    floats.set(input.subarray(inputAt + t * cols, inputAt + (t + 1) * cols), x + t * stride);
    if (tokens > FEW || !simd.int16) continue;
    const { x: from, words, wordScales } = vectorAt(simd, cols, t);
    exports.quantise16(from, words, wordScales, cols);
  }
}

/** Where the input of one of few tokens stands, and what is made of it. */
const vectorAt = ({ at }: SimdInstance, cols: number, t: number) => ({
  x: at.x + t * cols * 4,
  words: at.words + t * cols * 2,
  wordScales: at.wordScales + t * (cols >> 5) * 4,
  blocks: at.blocks + t * Math.ceil(cols / 16) * 4,
});

/** Sums of blocks of x, of few tokens: what a matrix's offsets are multiplied with. */
function putBlocks({ tokens }: LinearRun, { offsets, cols, block }: CpuMatrix, simd: SimdInstance): void {
  for (let t = 0; offsets && t < tokens; t++) {
    const { x, words, wordScales, blocks } = vectorAt(simd, cols, t);
    if (simd.int16) simd.exports.blockSums16(words, wordScales, x, blocks, cols, block);
    else simd.exports.blockSums(x, blocks, cols, block);
  }
}

/** A matrix's codebook: the pairs of values that the 256 bytes of two codes can be, and its values in 16 bits. */
function putCodebook(simd: SimdInstance, { format }: CpuMatrix): void {
  if (format.type !== 'q4') return;
  const { codebook } = format;
  const { floats, bytes, at } = simd;
  // each matrix of bitsandbytes brings the same one
  if (simd.codebook === codebook || simd.codebook?.every((value, i) => value === codebook[i])) return;
  for (let byte = 0; byte < 256; byte++) {
    floats[2 * byte] = codebook[byte >> 4];
    floats[2 * byte + 1] = codebook[byte & 15];
  }
  if (simd.int16) {
    const { values, unit } = wholeCodebook(codebook, 8192);
    for (const [i, value] of values.entries()) {
      bytes[at.planes + i] = value;
      bytes[at.planes + 16 + i] = value >> 8;
    }
    floats[at.planes / 4 + 8] = unit;
  }
  simd.codebook = codebook;
}

function timesVectors(
  run: LinearRun,
  m: number,
  { codes, scales, offsets }: Rows,
  row: number,
  end: number,
  first: number,
  simd: SimdInstance,
): void {
  const { format, cols, block } = run.matrices[m];
  const { floats, threads, team, int16 } = simd;
  const bytes = rowBytes(run.matrices[m]);
  const name =
    int16 && (format.type === 'q4' || format.type === 'q8')
      ? (`${format.type}Vector16` as const)
      : (`${format.type}Vector` as const);
  const work = (end - row) * cols;
  for (let t = 0; t < run.tokens; t++) {
    const { x, words, wordScales, blocks } = vectorAt(simd, cols, t);
    const parts = team.parts(end - row, 2, work);
    team.run(simd, name, parts, work, ({ thread, from, end: last }) => {
      const own = rowsFrom({ codes, scales, offsets }, bytes, from);
      const [y, count] = [threads[thread].y + 4 * from, last - from];
      return block
        ? [own.codes, own.scales, own.offsets, x, blocks, y, count, cols, block, words, wordScales]
        : [own.codes, x, y, count, cols];
    });
    for (const { thread, from, end: last } of parts) {
      const sums = { from: threads[thread].y / 4 + from, row: 1, token: 0 };
      finish(run, m, floats, sums, row + from, row + last, first, t, t + 1);
    }
  }
}

const DENSE = { f32: 0, f16: 1, bf16: 2 } as const;

function timesTokens(
  run: LinearRun,
  m: number,
  { codes, scales, offsets }: Rows,
  row: number,
  end: number,
  first: number,
  simd: SimdInstance,
): void {
  const { format, cols, block } = run.matrices[m];
  const { floats, at, threads, team } = simd;
  const bytes = rowBytes(run.matrices[m]);
  const tokens = roundUp(run.tokens, TOKENS);
  const name = format.type === 'q4' || format.type === 'q8' ? (`${format.type}Tokens` as const) : 'denseTokens';
  // rows go in pairs
  const work = (end - row) * tokens * cols;
  const parts = team.parts(end - row, 2, work);
  team.run(simd, name, parts, work, ({ thread, from, end: last }) => {
    const own = rowsFrom({ codes, scales, offsets }, bytes, from);
    const { tile, y } = threads[thread];
    const to = y + 4 * from * tokens;
    return format.type === 'q4' || format.type === 'q8'
      ? [own.codes, own.scales, own.offsets, tile, at.x, to, last - from, cols, block, tokens]
      : [DENSE[format.type], own.codes, tile, at.x, to, last - from, cols, tokens];
  });
  for (const { thread, from, end: last } of parts) {
    const sums = { from: threads[thread].y / 4 + from * tokens, row: tokens, token: 1 };
    finish(run, m, floats, sums, row + from, row + last, first, 0, run.tokens);
  }
}
