/** Threads of Node that share memory with the one that computes (execute/cpu/team.ts). */
import { Worker as Thread } from 'node:worker_threads';
import type { Threads } from '../execute/cpu/team';

/** @param run the text of a function of one argument */
const program = (run: string) =>
  `import { parentPort } from 'node:worker_threads'; parentPort.once('message', ${run});`;

/** They keep no program from ending. */
export const startNodeThread: Threads['start'] = (run, order, fail) => {
  const thread = new Thread(new URL(`data:text/javascript,${encodeURIComponent(program(run))}`), {
    // a thread refuses many of those that the program was started with, and needs none
    execArgv: [],
  });
  thread.unref();
  thread.on('error', (error: unknown) => fail(error instanceof Error ? error.message : String(error)));
  thread.on('exit', () => fail('it ended'));
  thread.postMessage(order);
  return { end: () => void thread.terminate() };
};
