/** Matrices of every format, with any codes, and banks for them. */
import { LINEAR_CODEBOOK, type MatrixFormat, NF4_CODEBOOK } from '../../../formats/matrix';
import type { BankShape } from '../../../memory/cpu-banks';
import type { CpuMatrix } from '../matrix';
import { randomValues } from './models';

/** bitsandbytes' other codebook, and that of GGUF's Q4_0. */
export const FP4 = [0, 1 / 192, 2 / 3, 1, 1 / 3, 1 / 2, 1 / 6, 1 / 4].flatMap((v) => [v, -v]).map(Math.fround);
export const Q4_0 = Array.from({ length: 16 }, (_, i) => i - 8);

export function randomBook(): number[] {
  return [...randomValues(16, 99)];
}

/** Multiples of 32, so that blocks fit; `odd` where any number of columns does. */
export const FORMATS: { format: MatrixFormat; odd: boolean }[] = [
  { format: { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK }, odd: false },
  { format: { type: 'q4', block: 32, offset: false, codebook: randomBook() }, odd: false },
  { format: { type: 'q4', block: 64, offset: false, codebook: FP4 }, odd: false },
  { format: { type: 'q4', block: 32, offset: true, codebook: LINEAR_CODEBOOK }, odd: false },
  { format: { type: 'q8', block: 16, offset: false }, odd: false },
  { format: { type: 'q8', block: 32, offset: true }, odd: false },
  { format: { type: 'q8', block: 64, offset: false }, odd: false },
  { format: { type: 'q8', block: 'row', offset: false }, odd: true },
  { format: { type: 'q8', block: 'row', offset: true }, odd: true },
  { format: { type: 'f16' }, odd: true },
  { format: { type: 'bf16' }, odd: true },
  { format: { type: 'f32' }, odd: true },
];

export const shapeOf = (
  cols: number,
  rows: number,
  tokens: number,
  spec: BankShape['spec'] = { heads: 4, kvHeads: 2, headSize: 32 },
  threads = 1,
): BankShape => ({ threads, spec, sizes: { x: tokens * cols, y: Math.max(2 * tokens, rows), tile: 2 * cols } });

/** Fills a matrix with any codes: half precision with all patterns but infinities and NaN. */
export function fill({ codes, scales, offsets, format }: CpuMatrix, seed: number): void {
  const values = randomValues(codes.length, seed);
  const infinite = format.type === 'f16' ? 0x7c00 : 0x7f80;
  for (let i = 0; i < codes.length; i++) {
    if (format.type === 'f32') codes[i] = values[i];
    else if (codes.BYTES_PER_ELEMENT === 1) codes[i] = Math.floor(values[i] * 128);
    else {
      const bits = Math.floor((values[i] + 1) * 32768);
      // of about 1, and some of the smallest
      codes[i] =
        (bits & infinite) === infinite || bits % 5
          ? (bits & 0x83ff) | (format.type === 'f16' ? 0x3c00 : 0x3f00)
          : bits & 0x83ff;
    }
  }
  scales?.set(randomValues(scales.length, seed + 1));
  offsets?.set(randomValues(offsets.length, seed + 2));
}
