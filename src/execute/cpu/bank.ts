/** A bank of memory/cpu-banks.ts as it exists: bytes for matrices and working arrays, and what computes with them. */
import { ATTEND_POSITIONS, type BankPlan, type BankShape } from '../../memory/cpu-banks';
import { CPU_CHUNK, FEW } from '../../memory/cpu-scratch';
import { type MatrixBytes, roundUp } from '../../memory/layout';

export interface Bank {
  readonly plan: BankPlan;
  readonly buffer: ArrayBuffer;
  /** an instance that is bound to these bytes; null: plain JavaScript computes with them */
  readonly simd: SimdInstance | null;
}

/** Every array begins at whole 16 bytes. */
const aligned = (bytes: number): number => roundUp(bytes, 16);

/**
 * The lengths of a bank's working arrays, f32, in their order; the plan has their sum.
 *
 *   pairs             the two values of each of 256 bytes of codes
 *   planes            a codebook in 16 bits, see simd.as.ts
 *   x                 input of a linear step, [tokens, columns rounded up to 4]
 *   words, wordScales x in 16 bits, [FEW, columns], and what a 1 stands for, one a group of 32 columns
 *   blocks            sums of blocks of x, [FEW, at most one a 16 columns]
 *   y                 its sums: of all rows for one token, of as many as there is room for of all tokens
 *   tile              two dequantised rows
 *   query, sum        attention: queries and their sums of values, [tokens, heads, headSize rounded up to 4]
 *   state             their largest scores and their sums of weights, [2, tokens, heads]
 *   keys … bias       keys and values as a ring has them, their scales, and the keys' bias
 *   head, weights     one head's keys and values as numbers, and a query's weights
 */
function bankArrays({ spec: { heads, kvHeads, headSize }, sizes: { x, y, tile } }: BankShape) {
  const stride = roundUp(headSize, 4);
  const cols = tile / 2;
  const query = CPU_CHUNK * heads * stride;
  const scales = ATTEND_POSITIONS * kvHeads;
  const keys = scales * headSize;
  const head = 2 * ATTEND_POSITIONS * stride;
  return {
    ...{ pairs: 512, planes: 9, x: 2 * x, words: (FEW * cols) / 2, wordScales: Math.ceil((FEW * cols) / 32) },
    ...{ blocks: FEW * Math.ceil(cols / 16), y: 2 * y, tile: 2 * tile },
    ...{ query, sum: query, state: 2 * CPU_CHUNK * heads },
    ...{ keys, keyScales: scales, values: keys, valueScales: scales, bias: keys, head, weights: ATTEND_POSITIONS },
  };
}

type ArrayName = keyof ReturnType<typeof bankArrays>;

export interface SimdInstance {
  readonly exports: SimdExports;
  /** the bank from its beginning to the end of its working arrays, as bytes and as f32 */
  readonly bytes: Uint8Array;
  readonly floats: Float32Array;
  /** the first byte of each working array, and of what comes after them */
  readonly at: Readonly<Record<ArrayName | 'end', number>>;
  /** f32 elements of each */
  readonly room: Readonly<Record<ArrayName, number>>;
  /** whose pairs of values stand at the beginning of the memory */
  codebook: readonly number[] | null;
  /** one token's products with q4 and q8 are of 16 bits */
  readonly int16: boolean;
}

type Simd = (...pointersAndCounts: number[]) => void;

/** The functions of simd.as.ts, where they are explained. */
export type SimdExports = Readonly<
  Record<
    | 'blockSums'
    | 'quantise16'
    | 'blockSums16'
    | 'q4Vector'
    | 'q8Vector'
    | 'q4Vector16'
    | 'q8Vector16'
    | 'f32Vector'
    | 'f16Vector'
    | 'bf16Vector'
    | 'q4Tokens'
    | 'q8Tokens'
    | 'denseTokens'
    | 'activate'
    | 'attend',
    Simd
  >
>;

/** What is bound to the memory of a bank. */
export function simdInstance(
  { shape }: BankPlan,
  buffer: ArrayBuffer,
  exports: SimdExports,
  int16 = false,
): SimdInstance {
  const room = bankArrays(shape);
  let end = 0;
  const at: Record<string, number> = {};
  for (const [name, floats] of Object.entries(room)) {
    at[name] = end;
    end += aligned(4 * floats);
  }
  return {
    exports,
    bytes: new Uint8Array(buffer, 0, end),
    floats: new Float32Array(buffer, 0, end / 4),
    at: { ...(at as SimdInstance['at']), end },
    room,
    codebook: null,
    int16,
  };
}

/** A matrix's place in a bank: the first byte of each of its arrays. */
export interface Place {
  bank: Bank;
  at: MatrixBytes;
}

/** Every matrix's place by its name: behind the working arrays, one after the other. */
export function placesIn(banks: readonly Bank[]): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const bank of banks) {
    let end = bank.plan.first;
    const take = (bytes: number) => {
      const at = aligned(end);
      end = at + bytes;
      return at;
    };
    for (const { name, bytes } of bank.plan.matrices) {
      const at = { codes: take(bytes.codes), scales: take(bytes.scales), offsets: take(bytes.offsets) };
      places.set(name, { bank, at });
    }
  }
  return places;
}
