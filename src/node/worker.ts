/** The thread's entry in Node: a session behind comlink, as in a page's worker (worker/worker.ts). */
import { parentPort, workerData } from 'node:worker_threads';
import { type Endpoint, expose, transferHandlers } from 'comlink';
import { passErrors } from '../protocol';
import { createSession } from '../runtime/session';
import { lazyDawn } from './dawn';
import { nodeHost } from './host';
import type { ThreadData } from './thread';

passErrors(transferHandlers);
const port = parentPort!;
const endpoint: Endpoint = {
  postMessage: (message, transfer = []) =>
    port.postMessage(message, transfer as Parameters<typeof port.postMessage>[1]),
  addEventListener: (_, listener) => {
    port.on('message', (data: unknown) => (listener as unknown as (event: { data: unknown }) => void)({ data }));
  },
  removeEventListener: () => {},
};
// that the thread has ended is an event in Node: no lock has to tell
expose(
  { ...createSession(nodeHost(lazyDawn((workerData as ThreadData | null)?.adapter))), hello: async () => false },
  endpoint,
);
