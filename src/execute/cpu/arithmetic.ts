/**
 * Products, attention and activations, which take almost all of the CPU's time, in one of two ways that is chosen once: plain
 * JavaScript, the reference, or WebAssembly where it may be compiled and has SIMD. Everything else of the executor is
 * the same.
 */
import type { BankPlan } from '../../memory/cpu-banks';
import { attend } from './attend';
import { type Bank, type SimdExports, simdInstance } from './bank';
import { activate } from './kernels';
import { type LinearScratch, linear } from './linear';
import type { LinearRun } from './linear-run';
import wasm from './simd.as.ts?wasm';
import { simdActivate } from './simd-activate';
import { simdAttend } from './simd-attend';
import { simdLinear } from './simd-linear';

export interface Arithmetic {
  /** which way it is, and why where it is not the faster */
  readonly name: string;
  /** what info() says of a model in these banks */
  describe(banks: readonly Bank[]): string;
  /** @throws RangeError where there is not as much memory */
  createBank(plan: BankPlan): Bank;
  /** As linear(). @param bank with working arrays for it */
  linear(run: LinearRun, scratch: LinearScratch, bank: Bank): Generator<number, void>;
  /** As attend(). @param bank with working arrays for it */
  attend(bank: Bank, ...run: Parameters<typeof attend>): Generator<number, void>;
  /** As activate(). @param bank with working arrays for it */
  activate(bank: Bank, ...run: Parameters<typeof activate>): void;
}

/** @param why it is not WebAssembly */
export const inJavaScript = (why: string): Arithmetic => ({
  name: `javascript: ${why}`,
  describe: () => `javascript: ${why}`,
  createBank: (plan) => ({ plan, buffer: new ArrayBuffer(plan.bytes), simd: null }),
  linear: (run, scratch) => linear(run, scratch),
  attend: (_, ...run) => attend(...run),
  activate: (_, ...run) => activate(...run),
});

const SIMD = 'webassembly-simd';

/**
 * null: one matrix is too large for any, or the browser has no such memory, but maybe one that is not WebAssembly's.
 */
function memoryOf(pages: number): WebAssembly.Memory | null {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch {
    return null;
  }
}

/** @param int16 one token's products with q4 and q8 weights are of 16 bits */
const inWebAssembly = (module: WebAssembly.Module, int16: boolean): Arithmetic => ({
  name: int16 ? `${SIMD}, int16` : SIMD,
  describe: (banks) =>
    banks.every(({ simd }) => simd) ? SIMD : `${SIMD}; javascript for weights that WebAssembly's memory cannot hold`,
  createBank(plan) {
    const memory = memoryOf(plan.bytes / 65536);
    if (!memory) return { plan, buffer: new ArrayBuffer(plan.bytes), simd: null };
    const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as SimdExports;
    const { buffer } = memory;
    return { plan, buffer, simd: simdInstance(plan, buffer, exports, int16) };
  },
  linear: simdLinear,
  attend: simdAttend,
  activate: simdActivate,
});

/** How one token's input of a product is held: as it is, or in 16 bits. */
export type Activations = 'f32' | 'int16';

let chosen: Record<Activations, Arithmetic> | null = null;

/**
 * The better way that runs here. The module is compiled when this is called first, and never again. Plain JavaScript
 * knows f32 only.
 */
export function arithmetic(activations: Activations = 'f32'): Arithmetic {
  chosen ??= choose();
  return chosen[activations];
}

function choose(): Record<Activations, Arithmetic> {
  const plain = (why: string) => {
    const f32 = inJavaScript(why);
    return { f32, int16: f32 };
  };
  if (typeof WebAssembly === 'undefined') return plain('there is no WebAssembly here');
  try {
    const module = new WebAssembly.Module(wasm);
    // WebKit compiles whatever the policy says, and refuses the instance
    new WebAssembly.Instance(module, { env: { memory: new WebAssembly.Memory({ initial: 1, maximum: 1 }) } });
    return { f32: inWebAssembly(module, false), int16: inWebAssembly(module, true) };
  } catch {
    // a policy does not keep anybody from asking whether it could be compiled
    return plain(
      WebAssembly.validate(wasm)
        ? "WebAssembly is forbidden by the page's policy"
        : 'WebAssembly has no SIMD in this browser',
    );
  }
}
