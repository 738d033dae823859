/**
 * The end of a command before its time. Ctrl-C stops it, with 130: at once, or, where work is under way that can tell
 * how far it came, when it has stopped; a second time at once in any case. A reader that has gone (`| head`) ends it
 * quietly.
 */
import { CHILD } from './dawn';

export class Ended extends Error {
  constructor(readonly status: number) {
    super(`ended with ${status}`);
  }
}

export const INTERRUPTED = 130;

export interface Interrupt {
  /** fires at the first Ctrl-C */
  readonly signal: AbortSignal;
  /** fails with Ended when nothing is to be waited for any more */
  readonly ended: Promise<never>;
  /** Runs work that ends by itself when the signal fires. */
  gently<T>(work: () => Promise<T>): Promise<T>;
  /** As Ctrl-C does. */
  stop(): void;
  /** Listens no longer. */
  release(): void;
}

/** Of a program that Ctrl-C ends as the system does. */
export const NO_INTERRUPT: Interrupt = {
  signal: new AbortController().signal,
  ended: new Promise(() => {}),
  gently: (work) => work(),
  stop() {},
  release() {},
};

/** In a process that another one of ours started, that one tells: the terminal's Ctrl-C reaches both. */
const toldBy = (): [NodeJS.EventEmitter, string] => [
  process,
  process.send && process.env[CHILD] ? 'message' : 'SIGINT',
];

export function watchInterrupts(): Interrupt {
  const stopping = new AbortController();
  let gentle = 0;
  let end: (status: number) => void = () => {};
  const ended = new Promise<never>((_, reject) => {
    end = (status) => reject(new Ended(status));
  });
  ended.catch(() => {});
  const stop = () => {
    if (gentle === 0 || stopping.signal.aborted) end(INTERRUPTED);
    stopping.abort();
  };
  const broken = ({ code }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') end(0);
  };
  const ignore = () => {};
  const [from, event] = toldBy();
  process.on('SIGINT', event === 'SIGINT' ? stop : ignore);
  if (event === 'message') from.on(event, stop);
  process.stdout.on('error', broken);
  process.stderr.on('error', ignore);
  return {
    signal: stopping.signal,
    ended,
    stop,
    async gently(work) {
      gentle++;
      try {
        return await work();
      } finally {
        gentle--;
      }
    },
    release() {
      for (const listener of [stop, ignore]) process.removeListener('SIGINT', listener);
      from.removeListener('message', stop);
      process.stdout.removeListener('error', broken);
      process.stderr.removeListener('error', ignore);
    },
  };
}
