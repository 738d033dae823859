/**
 * Products and attention, which take almost all of the CPU's time, in one of two ways that is chosen once: plain
 * JavaScript, the reference, or WebAssembly where it may be compiled and has SIMD. Everything else of the executor is
 * the same.
 */
import type { BankPlan } from '../../memory/cpu-banks';
import { attend } from './attend';
import { type Bank, type SimdExports, simdInstance } from './bank';
import { type LinearScratch, linear } from './linear';
import type { LinearRun } from './linear-run';
import wasm from './simd.as.ts?wasm';
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
}

/** @param why it is not WebAssembly */
export const inJavaScript = (why: string): Arithmetic => ({
  name: `javascript: ${why}`,
  describe: () => `javascript: ${why}`,
  createBank: (plan) => ({ plan, buffer: new ArrayBuffer(plan.bytes), simd: null }),
  linear: (run, scratch) => linear(run, scratch),
  attend: (_, ...run) => attend(...run),
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

const inWebAssembly = (module: WebAssembly.Module): Arithmetic => ({
  name: SIMD,
  describe: (banks) =>
    banks.every(({ simd }) => simd) ? SIMD : `${SIMD}; javascript for weights that WebAssembly's memory cannot hold`,
  createBank(plan) {
    const memory = memoryOf(plan.bytes / 65536);
    if (!memory) return { plan, buffer: new ArrayBuffer(plan.bytes), simd: null };
    const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as SimdExports;
    const { buffer } = memory;
    return { plan, buffer, simd: simdInstance(plan, buffer, exports) };
  },
  linear: simdLinear,
  attend: simdAttend,
});

let chosen: Arithmetic | null = null;

/** The better way that runs here. The module is compiled when this is called first, and never again. */
export function arithmetic(): Arithmetic {
  chosen ??= choose();
  return chosen;
}

function choose(): Arithmetic {
  if (typeof WebAssembly === 'undefined') return inJavaScript('there is no WebAssembly here');
  try {
    const module = new WebAssembly.Module(wasm);
    // WebKit compiles whatever the policy says, and refuses the instance
    new WebAssembly.Instance(module, { env: { memory: new WebAssembly.Memory({ initial: 1, maximum: 1 }) } });
    return inWebAssembly(module);
  } catch {
    // a policy does not keep anybody from asking whether it could be compiled
    return inJavaScript(
      WebAssembly.validate(wasm)
        ? "WebAssembly is forbidden by the page's policy"
        : 'WebAssembly has no SIMD in this browser',
    );
  }
}
