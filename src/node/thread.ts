/**
 * A thread of Node that behaves as a page's worker does towards the engine, so that the program goes on while a model
 * computes. It keeps the program from ending only while something is asked of it: one that forgets dispose() ends by
 * itself after its last answer.
 */
import { Worker as Thread } from 'node:worker_threads';
import { releaseLocksOf } from './file-locks';

/** Those that have not ended, by their number. */
const alive = new Set<number>();

/** They end with the process, and tell nobody. */
function releaseAll(): void {
  for (const thread of alive) releaseLocksOf(thread);
}

/** What a thread is told when it starts. */
export interface ThreadData {
  /** the graphics adapter to use, by a part of its name */
  adapter?: string;
}

/** @param url of its script; beside this one when absent */
export function createThread(
  url: string | URL = new URL('./worker.js', import.meta.url),
  workerData: ThreadData = {},
): Worker {
  const thread = new Thread(URL.canParse(url) ? new URL(url) : String(url), {
    workerData,
    // a thread refuses many of those that the program was started with, and needs none
    execArgv: [],
  });
  const { threadId } = thread;
  if (alive.size === 0) process.on('exit', releaseAll);
  alive.add(threadId);
  const target = new EventTarget();
  /** calls whose answers have not come */
  let open = 0;
  const count = (change: number) => {
    open += change;
    if (open > 0) thread.ref();
    else thread.unref();
  };
  const fail = (message: string) =>
    target.dispatchEvent(Object.assign(new Event('error'), { message: message || 'it ended' }));
  count(0);
  thread.on('message', (data: unknown) => {
    count(-1);
    target.dispatchEvent(new MessageEvent('message', { data }));
  });
  thread.on('messageerror', () => target.dispatchEvent(new Event('messageerror')));
  thread.on('error', (error: unknown) => fail(error instanceof Error ? error.message : String(error)));
  thread.on('exit', () => {
    alive.delete(threadId);
    if (alive.size === 0) process.removeListener('exit', releaseAll);
    releaseLocksOf(threadId);
    fail('it ended');
  });
  return Object.assign(target, {
    // every message asks for one answer (comlink)
    postMessage(message: unknown, transfer: readonly Transferable[] = []) {
      thread.postMessage(message, transfer as Parameters<Thread['postMessage']>[1]);
      count(1);
    },
    terminate: () => void thread.terminate(),
  }) as unknown as Worker;
}
