/**
 * What a helper thread runs (team.ts): it waits for jobs in its mailbox, which is shared memory, and calls the module's
 * functions on memory that is shared, too.
 */

/** What a helper is sent. */
export interface HelperOrder {
  module: WebAssembly.Module;
  /** of the banks, shared */
  memories: readonly WebAssembly.Memory[];
  /** names of the functions that jobs name by their number */
  names: readonly string[];
  mailbox: SharedArrayBuffer;
  /** looks at the mailbox before it sleeps */
  spins: number;
}

/** 32-bit words of a mailbox, each in a line of the cache of its own: the number of the newest job, */
export const POSTED = 0;
/** that of the newest one that is done, */
export const DONE = 32;
/** and 1 while the helper sleeps. */
export const ASLEEP = 64;
/** Where a job is described, in f64: how many arguments, the bank, the function, then the arguments. */
export const JOB = 48;
export const MAILBOX_BYTES = 1024;

/** Before the first job: the helper is there. */
export const READY = 1;

/**
 * Does jobs until the thread is ended. Its text is what the thread is made of, so it names nothing that is outside of
 * it.
 */
export function helperLoop({ module, memories, names, mailbox, spins }: HelperOrder): void {
  const words = new Int32Array(mailbox);
  const job = new Float64Array(mailbox).subarray(48);
  const banks = memories.map((memory) => new WebAssembly.Instance(module, { env: { memory } }).exports);
  for (let done = 1; ; ) {
    Atomics.store(words, 32, done);
    for (let left = spins; Atomics.load(words, 0) === done; left--) {
      if (left > 0) continue;
      Atomics.store(words, 64, 1);
      // not if a job has come meanwhile
      Atomics.wait(words, 0, done);
      Atomics.store(words, 64, 0);
      left = spins;
    }
    done = Atomics.load(words, 0);
    const [count, bank, name] = job;
    (banks[bank][names[name]] as (...numbers: number[]) => void)(...job.subarray(3, 3 + count));
  }
}
