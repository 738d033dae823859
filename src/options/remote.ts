/** What connects to a server, and what chooses between it and this device: RemoteOptions says what each is for. */
import type { Spec } from './spec';

/** Modes of load(): who answers. */
export const WHERE = ['device', 'server', 'device-first', 'server-first'] as const;

/** What load() takes beside all else. */
export const WHERE_OPTIONS = {
  remote: { type: 'object', only: 'code', says: 'The server that may answer: { url, model, key or fetch }.' },
  where: { type: 'choice', of: WHERE, default: 'device', only: 'code', says: 'Who answers.' },
  minTokensPerSecond: {
    type: 'number',
    least: 0,
    default: 5,
    only: 'code',
    says: 'With device-first: below this speed on the CPU, the server answers.',
  },
} as const satisfies Record<string, Spec>;

/** What connect() takes beside the address. */
export const CONNECT_OPTIONS = {
  model: { type: 'text', only: 'code', says: 'Name of the model, as the server knows it.' },
  key: { type: 'any', only: 'code', says: 'What the server asks for: a text, or a function that gives it.' },
  fetch: { type: 'function', only: 'code', says: 'Another way to make requests.' },
  timeoutMs: {
    type: 'number',
    least: 1,
    most: 2 ** 31 - 1,
    default: 60_000,
    only: 'code',
    says: 'So long without a byte, and an answer is given up.',
  },
} as const satisfies Record<string, Spec>;
