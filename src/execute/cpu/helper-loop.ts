/**
 * What a helper thread runs (team.ts): it waits for jobs in its mailbox, which is shared memory, and calls the module's
 * functions on memory that is shared, too.
 */

/**
 * A mailbox. In 32-bit words, each in a line of the cache of its own: the number of the newest job, that of the newest
 * one that is done, and 1 while the helper sleeps. In f64 the job: how many arguments, the bank, the function, then the
 * arguments.
 */
export const MAILBOX = { bytes: 1024, posted: 0, done: 32, asleep: 64, job: 48 } as const;

/** The number before that of the first job: the helper is there. */
export const READY = 1;

/** What a helper is sent. */
export interface HelperOrder {
  module: WebAssembly.Module;
  /** of the banks, shared */
  memories: readonly WebAssembly.Memory[];
  /** names of the functions that jobs name by their number */
  names: readonly string[];
  mailbox: SharedArrayBuffer;
  /** MAILBOX and READY, which the helper cannot name */
  at: typeof MAILBOX;
  ready: typeof READY;
  /** looks at the mailbox before it sleeps */
  spins: number;
}

/**
 * Does jobs until the thread is ended. Its text is what the thread is made of, so it names nothing that is outside of
 * it.
 */
export function helperLoop({ module, memories, names, mailbox, at, ready, spins }: HelperOrder): void {
  const words = new Int32Array(mailbox);
  const job = new Float64Array(mailbox).subarray(at.job);
  const banks = memories.map((memory) => new WebAssembly.Instance(module, { env: { memory } }).exports);
  for (let done: number = ready; ; ) {
    Atomics.store(words, at.done, done);
    for (let left = spins; Atomics.load(words, at.posted) === done; left--) {
      if (left > 0) continue;
      Atomics.store(words, at.asleep, 1);
      // not if a job has come meanwhile
      Atomics.wait(words, at.posted, done);
      Atomics.store(words, at.asleep, 0);
      left = spins;
    }
    done = Atomics.load(words, at.posted);
    const [count, bank, name] = job;
    (banks[bank][names[name]] as (...numbers: number[]) => void)(...job.subarray(3, 3 + count));
  }
}
