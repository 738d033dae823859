/** A bank of memory/cpu-banks.ts as it exists: bytes for matrices and working arrays, and what computes with them. */
import type { BankPlan } from '../../memory/cpu-banks';
import type { MatrixBytes } from '../../memory/layout';

export interface Bank {
  readonly plan: BankPlan;
  readonly buffer: ArrayBuffer;
  /** an instance that is bound to these bytes; null: plain JavaScript computes with them */
  readonly simd: SimdInstance | null;
}

export interface SimdInstance {
  readonly exports: SimdExports;
  /** the bank from its beginning to the end of its working arrays, as bytes and as f32 */
  readonly bytes: Uint8Array;
  readonly floats: Float32Array;
  /** whose pairs of values stand at the beginning of the memory */
  codebook: readonly number[] | null;
}

type Simd = (...pointersAndCounts: number[]) => void;

/** The functions of simd.as.ts, where they are explained. */
export type SimdExports = Readonly<
  Record<
    | 'blockSums'
    | 'q4Vector'
    | 'q8Vector'
    | 'f32Vector'
    | 'f16Vector'
    | 'bf16Vector'
    | 'q4Tokens'
    | 'q8Tokens'
    | 'denseTokens'
    | 'attend',
    Simd
  >
>;

/** A matrix's place in a bank: the first byte of each of its arrays. */
export interface Place {
  bank: Bank;
  at: MatrixBytes;
}

/** Every matrix's place by its name. */
export const placesIn = (banks: readonly Bank[]): Map<string, Place> =>
  new Map(banks.flatMap((bank) => [...bank.plan.matrices].map(([name, at]) => [name, { bank, at }] as const)));
