/**
 * Where the CPU's matrices lie: banks of whole WebAssembly pages, each with working arrays at its beginning. An instance of
 * the module (execute/cpu/simd.ts) is bound to one bank, whose pointers have 32 bits; so a bank ends below 4 GiB, and no
 * matrix crosses one. Where WebAssembly does not run the banks are the same, so that the plan need not know. Pure.
 */
import type { ModelSpec } from '../model/spec';
import type { Step } from '../model/steps';
import { CPU_CHUNK } from './cpu-scratch';
import { type DeviceMatrix, type MatrixBytes, roundUp } from './layout';

/** Bytes of a page of WebAssembly's memory. */
export const PAGE = 65536;

/** Bytes of the largest bank: a page less than what 32 bits reach, so that every end has an address. */
export const LARGEST_BANK = 65535 * PAGE;

/** Positions whose keys and values attention reads at once: a multiple of 4, and few enough for a core's cache. */
export const ATTEND_POSITIONS = 32;

/** What is loaded 16 bytes at a time begins at whole 16 bytes, which no processor minds. */
const aligned = (bytes: number): number => roundUp(bytes, 16);

/** Working arrays by name: the first byte, and the bytes of each. */
export type BankScratch = Readonly<
  Record<
    | 'pairs'
    | 'x'
    | 'y'
    | 'tile'
    | 'query'
    | 'sum'
    | 'state'
    | 'keys'
    | 'keyScales'
    | 'values'
    | 'valueScales'
    | 'bias'
    | 'rows'
    | 'weights',
    { at: number; bytes: number }
  >
>;

export interface BankPlan {
  /** of the whole bank; more than LARGEST_BANK where one matrix is */
  bytes: number;
  scratch: BankScratch;
  /** by matrix, the first byte of its codes, scales and offsets */
  matrices: ReadonlyMap<string, MatrixBytes>;
  /** bytes that are no matrix's */
  rest: number;
}

/** The working arrays of a bank, of f32. @returns where they end, too */
export function bankScratch(
  spec: Pick<ModelSpec, 'width' | 'heads' | 'kvHeads' | 'headSize'>,
  steps: readonly Step[],
  chunk: number,
): { scratch: BankScratch; end: number } {
  const { heads, kvHeads, headSize } = spec;
  const tokens = roundUp(Math.min(chunk, CPU_CHUNK), 4);
  const linears = steps.filter((step) => step.op === 'linear');
  const rows = linears.map((step) => step.parts.reduce((sum, part) => sum + part.rows, 0));
  const cols = roundUp(Math.max(spec.width, ...linears.map((step) => step.cols)), 4);
  const stride = roundUp(headSize, 4);
  const kept = ATTEND_POSITIONS * kvHeads * headSize;
  let end = 0;
  const floats = (count: number) => {
    const at = end;
    end += aligned(count * 4);
    return { at, bytes: count * 4 };
  };
  const scratch = {
    /** the two values of each of 256 bytes; simd.as.ts knows where: at 0 */
    pairs: floats(512),
    /** input of a linear step, [tokens, cols] */
    x: floats(tokens * cols),
    /** its sums: of all rows for one token, of as many as there is room for of all tokens */
    y: floats(Math.max(16 * tokens, ...rows)),
    /** two dequantised rows, or sums of blocks of x */
    tile: floats(2 * cols),
    /** attention: queries, [tokens, heads, stride], and their sums of values */
    query: floats(tokens * heads * stride),
    sum: floats(tokens * heads * stride),
    /** their largest scores and their sums of weights, [2, tokens, heads] */
    state: floats(2 * tokens * heads),
    /** keys and values as a ring has them, f32 at most, their scales, and the keys' bias */
    keys: floats(kept),
    keyScales: floats(ATTEND_POSITIONS * kvHeads),
    values: floats(kept),
    valueScales: floats(ATTEND_POSITIONS * kvHeads),
    bias: floats(kept),
    /** one head's keys and values as numbers, [2, positions, stride], and a query's weights */
    rows: floats(2 * ATTEND_POSITIONS * stride),
    weights: floats(ATTEND_POSITIONS),
  };
  return { scratch, end };
}

/** Matrices in their order, in as few banks as that allows. */
export function planBanks(
  matrices: readonly Pick<DeviceMatrix, 'name' | 'bytes'>[],
  { scratch, end: first }: ReturnType<typeof bankScratch>,
  largest = LARGEST_BANK,
): BankPlan[] {
  const banks: BankPlan[] = [];
  let placed = new Map<string, MatrixBytes>();
  let end = first;
  let used = 0;
  const close = () => {
    const bytes = roundUp(end, PAGE);
    banks.push({ bytes, scratch, matrices: placed, rest: bytes - used });
    placed = new Map();
    [end, used] = [first, 0];
  };
  for (const { name, bytes } of matrices) {
    const { codes, scales, offsets } = bytes;
    const whole = aligned(codes) + aligned(scales) + aligned(offsets);
    if (placed.size > 0 && end + whole > largest) close();
    placed.set(name, { codes: end, scales: end + aligned(codes), offsets: end + aligned(codes) + aligned(scales) });
    end += whole;
    used += codes + scales + offsets;
  }
  close();
  return banks;
}
