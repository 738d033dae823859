/** The worker's entry: a session behind comlink. */
import { expose, transferHandlers } from 'comlink';
import { passErrors } from '../protocol';
import { openModelStore } from '../weights/chunk-store';
import { openSource } from './open-source';
import { createSession } from './session';

passErrors(transferHandlers);
expose(createSession({ gpu: navigator.gpu ?? null, openSource, openStore: () => openModelStore() }));
