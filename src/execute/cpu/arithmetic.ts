/**
 * Products, attention and activations, which take almost all of the CPU's time, in one of two ways that is chosen once:
 * plain JavaScript, the reference, or WebAssembly where it may be compiled and has SIMD, in as many threads as can
 * share its memory. Everything else of the executor is the same.
 */
import { type BankPlan, PAGE } from '../../memory/cpu-banks';
import { attend } from './attend';
import { type Bank, type SimdExports, simdInstance } from './bank';
import { activate } from './kernels';
import { type LinearScratch, linear } from './linear';
import type { LinearRun } from './linear-run';
import wasm, { limits } from './simd.as.ts?wasm';
import { simdActivate } from './simd-activate';
import { simdAttend } from './simd-attend';
import { simdLinear } from './simd-linear';
import { Team, type Threads } from './team';

export interface Arithmetic {
  /** which way it is, and why where it is not the faster */
  readonly name: string;
  /** @throws RangeError where there is not as much memory */
  open(plans: readonly BankPlan[], threads?: Threads): Computing;
}

/** One executor's: the banks that hold its matrices, and what computes with them. */
export interface Computing {
  readonly banks: readonly Bank[];
  /** what info() says of it */
  readonly description: string;
  /** As linear(). */
  linear(run: LinearRun, scratch: LinearScratch): Generator<number, void>;
  /** As attend(). */
  attend(...run: Parameters<typeof attend>): Generator<number, void>;
  /** As activate(). */
  activate(...run: Parameters<typeof activate>): void;
  /** how many that helpers did in time, and did not */
  readonly jobs: Team['jobs'];
  /** Ends its threads. */
  close(): void;
}

/** @param why it is not WebAssembly */
export const inJavaScript = (why: string): Arithmetic => ({
  name: `javascript: ${why}`,
  open: (plans) => ({
    banks: plans.map((plan) => ({ plan, buffer: new ArrayBuffer(plan.bytes), simd: null })),
    description: `javascript: ${why}`,
    linear,
    attend,
    activate,
    jobs: { done: 0, late: 0 },
    close() {},
  }),
});

const SIMD = 'webassembly-simd';

/**
 * null: one matrix is too large for any, or the browser has no such memory, but maybe one that is not WebAssembly's.
 */
function memoryOf({ bytes }: BankPlan, shared: boolean): WebAssembly.Memory | null {
  const pages = bytes / PAGE;
  try {
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
    return shared && memory.buffer instanceof ArrayBuffer ? null : memory;
  } catch {
    return null;
  }
}

const compiled: { alone?: WebAssembly.Module; shared?: WebAssembly.Module } = {};

/** The module, for memory that is shared or not: each is compiled when it is needed first, and never again. */
function moduleFor(memory: 'alone' | 'shared'): WebAssembly.Module {
  wasm[limits] = memory === 'shared' ? 3 : 1;
  compiled[memory] ??= new WebAssembly.Module(wasm);
  return compiled[memory];
}

/** Memory of all banks for several threads; null: of one at least there is none, or it cannot be shared. */
function sharedMemories(plans: readonly BankPlan[], threads: Threads | undefined): WebAssembly.Memory[] | null {
  if (!threads || threads.count < 2) return null;
  const memories = plans.map((plan) => memoryOf(plan, true));
  return memories.every((memory) => memory !== null) ? memories : null;
}

/** @param int16 one token's products with q4 and q8 weights are of 16 bits */
const inWebAssembly = (int16: boolean): Arithmetic => ({
  name: int16 ? `${SIMD}, int16` : SIMD,
  open(plans, threads) {
    const shared = sharedMemories(plans, threads);
    const module = moduleFor(shared ? 'shared' : 'alone');
    const names = WebAssembly.Module.exports(module).map(({ name }) => name as keyof SimdExports);
    const one = threads && { why: threads.count > 1 ? 'memory cannot be shared' : undefined, ...threads, count: 1 };
    const team = new Team({ module, memories: shared ?? [], names }, shared ? threads : one);
    const banks = plans.map((plan, index): Bank => {
      const memory = shared?.[index] ?? memoryOf(plan, false);
      if (!memory) return { plan, buffer: new ArrayBuffer(plan.bytes), simd: null };
      const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as SimdExports;
      const { buffer } = memory;
      return { plan, buffer, simd: simdInstance(plan, buffer, { exports, index, team, int16 }) };
    });
    const plain = banks.every(({ simd }) => simd) ? '' : '; javascript for weights that WebAssembly has no memory for';
    return {
      banks,
      get description() {
        return SIMD + team.description + plain;
      },
      linear: (run, scratch) => simdLinear(run, scratch, banks[0]),
      attend: (...run) => simdAttend(banks[0], ...run),
      activate: (...run) => simdActivate(banks[0], ...run),
      jobs: team.jobs,
      close: () => team.end(),
    };
  },
});

/** How one token's input of a product is held: as it is, or in 16 bits. */
export type Activations = 'f32' | 'int16';

let chosen: Record<Activations, Arithmetic> | null = null;

/**
 * The better way that runs here. A module is compiled when this is called first. Plain JavaScript knows f32 only.
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
    // WebKit compiles whatever the policy says, and refuses the instance
    new WebAssembly.Instance(moduleFor('alone'), {
      env: { memory: new WebAssembly.Memory({ initial: 1, maximum: 1 }) },
    });
    return { f32: inWebAssembly(false), int16: inWebAssembly(true) };
  } catch {
    // a policy does not keep anybody from asking whether it could be compiled
    return plain(
      WebAssembly.validate(wasm)
        ? "WebAssembly is forbidden by the page's policy"
        : 'WebAssembly has no SIMD in this browser',
    );
  }
}
