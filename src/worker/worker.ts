/** The worker's entry: a session behind comlink. */
import { expose, transferHandlers } from 'comlink';
import { passErrors } from '../protocol';
import { openSource } from '../runtime/open-source';
import { createSession } from '../runtime/session';
import { openModelStore } from '../store/chunk-store';
import { pageThreads } from './compute-threads';

passErrors(transferHandlers);
// what Chromium alone tells, and TypeScript does not know
const { deviceMemory, userAgentData } = navigator as { deviceMemory?: number; userAgentData?: { platform: string } };
const machine = {
  memory: deviceMemory ? deviceMemory * 2 ** 30 : null,
  userAgent: `${userAgentData?.platform ?? ''} ${navigator.userAgent}`,
};

expose(
  createSession({
    gpu: navigator.gpu ?? null,
    machine,
    threads: pageThreads(),
    openSource,
    openStore: (onNote) => openModelStore({ onNote }),
  }),
);
