/**
 * Where the CPU's matrices lie: banks of whole WebAssembly pages, each with working arrays at its beginning. An
 * instance of the module (execute/cpu/simd.as.ts) is bound to one bank, whose pointers have 32 bits; so a bank ends
 * below 4 GiB, and no matrix crosses one. Where WebAssembly does not run the banks are the same, so that the plan need
 * not know. Pure.
 */
import type { ModelSpec } from '../model/spec';
import { CPU_CHUNK, type CpuScratchSizes, FEW } from './cpu-scratch';
import { type CpuBytes, roundUp } from './layout';

/** Bytes of a page of WebAssembly's memory. */
export const PAGE = 65536;

/** Bytes of the largest bank: two pages less than what 32 bits reach, so that every end has an address. */
const LARGEST_BANK = 65534 * PAGE;

/** Positions whose keys and values attention reads at once: a multiple of 4, and few enough for a core's cache. */
export const ATTEND_POSITIONS = 32;

/** What the working arrays of a bank depend on. */
export interface BankShape {
  spec: Pick<ModelSpec, 'heads' | 'kvHeads' | 'headSize'>;
  /** of the arrays of the same names in JavaScript, whose bytes suffice */
  sizes: Pick<CpuScratchSizes, 'x' | 'y' | 'tile'>;
  /** that compute at once: each has some of the arrays to itself */
  threads: number;
}

export interface BankPlan {
  shape: BankShape;
  /** bytes of the working arrays, wherever each begins; the matrices are behind them */
  first: number;
  matrices: { name: string; bytes: CpuBytes }[];
  /** of the whole bank; more than 32 bits reach where one matrix is */
  bytes: number;
  /** bytes that are no matrix's */
  rest: number;
}

/**
 * Bytes of the working arrays, which execute/cpu/bank.ts lists: those that all threads share, and those of each. What
 * they need besides to begin at whole 16 bytes is in it.
 */
function workingBytes({ spec, sizes: { x, y, tile }, threads }: BankShape): number {
  const { heads, kvHeads, headSize } = spec;
  const stride = roundUp(headSize, 4);
  const queries = CPU_CHUNK * heads;
  const rows = ATTEND_POSITIONS * kvHeads * (3 * headSize + 2);
  // of one token at a time, x in 16 bits with its scales, and sums of its blocks: 2 + 4 / 32 + 4 / 16 bytes a column
  const few = Math.ceil(1.1875 * FEW * tile);
  const common = 4 * (512 + 9 + 2 * x + queries * stride + rows) + few + 256;
  const own = 4 * (2 * y + 2 * tile + queries * (stride + 2) + ATTEND_POSITIONS * (2 * stride + 1)) + 128;
  return common + threads * own;
}

/** Matrices in their order, in as few banks as that allows. */
export function planBanks(matrices: BankPlan['matrices'], shape: BankShape, largest = LARGEST_BANK): BankPlan[] {
  const first = workingBytes(shape);
  const banks: BankPlan[] = [];
  let end = Number.POSITIVE_INFINITY;
  let used = 0;
  for (const matrix of matrices) {
    const { codes, scales, offsets } = matrix.bytes;
    const own = codes + scales + offsets;
    if (end + own > largest) {
      banks.push({ shape, first, matrices: [], bytes: 0, rest: 0 });
      end = first;
      used = 0;
    }
    // three arrays begin at whole 16 bytes
    end += own + 48;
    used += own;
    const bank = banks[banks.length - 1];
    bank.matrices.push(matrix);
    bank.bytes = roundUp(end, PAGE);
    bank.rest = bank.bytes - used;
  }
  return banks;
}
