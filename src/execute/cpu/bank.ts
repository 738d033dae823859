/** A bank of memory/cpu-banks.ts as it exists: bytes for matrices and working arrays, and what computes with them. */
import { ATTEND_POSITIONS, type BankPlan, type BankShape } from '../../memory/cpu-banks';
import { CPU_CHUNK, FEW } from '../../memory/cpu-scratch';
import { type CpuBytes, roundUp } from '../../memory/layout';
import type { Team } from './team';

export interface Bank {
  readonly plan: BankPlan;
  readonly buffer: ArrayBufferLike;
  /** an instance that is bound to these bytes; null: plain JavaScript computes with them */
  readonly simd: SimdInstance | null;
}

/** Every array begins at whole 16 bytes. */
const aligned = (bytes: number): number => roundUp(bytes, 16);

/** The lengths of the working arrays that all threads of a bank share, f32, in their order. */
const sharedArrays = ({ spec: { heads, kvHeads, headSize }, sizes }: BankShape) => {
  const rows = ATTEND_POSITIONS * kvHeads;
  const cols = sizes.tile / 2;
  return {
    /** the two values of each of 256 bytes of codes */
    pairs: 512,
    /** a codebook in 16 bits, see simd.as.ts */
    planes: 9,
    /** input of a linear step, [tokens, columns rounded up to 4] */
    x: 2 * sizes.x,
    /** x in 16 bits, [FEW, columns], and what a 1 stands for, one a group of 32 columns */
    words: (FEW * cols) / 2,
    wordScales: Math.ceil((FEW * cols) / 32),
    /** sums of blocks of x, [FEW, at most one a 16 columns] */
    blocks: FEW * Math.ceil(cols / 16),
    /** attention: queries, [tokens, heads, headSize rounded up to 4] */
    query: CPU_CHUNK * heads * roundUp(headSize, 4),
    /** keys and values as a ring has them, their scales, and the keys' bias */
    keys: rows * headSize,
    keyScales: rows,
    values: rows * headSize,
    valueScales: rows,
    bias: rows * headSize,
  };
};

/** The lengths of those that each thread has to itself. The plan has the sum of all. */
const threadArrays = ({ spec: { heads, headSize }, sizes: { y, tile } }: BankShape) => {
  const stride = roundUp(headSize, 4);
  return {
    /** attention: sums of values, shaped as the queries */
    sum: CPU_CHUNK * heads * stride,
    /** the queries' largest scores and their sums of weights, [2, tokens, heads] */
    state: 2 * CPU_CHUNK * heads,
    /** one head's keys and values as numbers, and a query's weights */
    head: 2 * ATTEND_POSITIONS * stride,
    weights: ATTEND_POSITIONS,
    /** sums of a linear step: of all rows for one token, of as many as there is room for of all tokens */
    y: 2 * y,
    /** two dequantised rows */
    tile: 2 * tile,
  };
};

type Lengths<T extends (shape: BankShape) => unknown> = Readonly<ReturnType<T>>;
type SharedName = keyof Lengths<typeof sharedArrays>;
type ThreadName = keyof Lengths<typeof threadArrays>;

export interface SimdInstance {
  readonly exports: SimdExports;
  /** of the bank */
  readonly index: number;
  /** the threads that compute with it */
  readonly team: Team;
  /** the bank from its beginning to the end of its working arrays, as bytes and as f32 */
  readonly bytes: Uint8Array;
  readonly floats: Float32Array;
  /** the first byte of each working array, and of what comes after them */
  readonly at: Readonly<Record<SharedName | 'end', number>>;
  /** the same by thread */
  readonly threads: readonly Readonly<Record<ThreadName, number>>[];
  /** f32 elements of each */
  readonly room: Lengths<typeof sharedArrays> & Lengths<typeof threadArrays>;
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
  buffer: ArrayBufferLike,
  bound: Pick<SimdInstance, 'exports' | 'index' | 'team' | 'int16'>,
): SimdInstance {
  let end = 0;
  const place = <Name extends string>(lengths: Readonly<Record<Name, number>>) => {
    const at: Record<string, number> = {};
    for (const [name, floats] of Object.entries<number>(lengths)) {
      at[name] = end;
      end += aligned(4 * floats);
    }
    return at as Record<Name, number>;
  };
  const [shared, own] = [sharedArrays(shape), threadArrays(shape)];
  const at = place(shared);
  const threads = Array.from({ length: shape.threads }, () => place(own));
  return {
    ...bound,
    bytes: new Uint8Array(buffer, 0, end),
    floats: new Float32Array(buffer, 0, end / 4),
    at: { ...at, end },
    threads,
    room: { ...shared, ...own },
    codebook: null,
  };
}

/** A matrix's place in a bank: the first byte of each of its arrays. */
export interface Place {
  bank: Bank;
  at: CpuBytes;
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
