/** What a page and the frame with the chat say to each other: plain data, each message with this mark. */
import type { ErrorCode, ErrorDetails } from '../../errors';
import type { ChatMessage } from '../../protocol';

/** Of the messages; another number where they come to mean something else. */
export const VERSION = 1;

/** What a page may have done, and with what. */
export interface Calls {
  /** the first one: attributes of the chat, by name. Asked again, it sets them again */
  connect: Readonly<Record<string, string>>;
  open: null;
  close: null;
  ask: string;
  stop: null;
  clear: null;
  focus: null;
  messages: null;
  setMessages: readonly ChatMessage[];
}

export interface Call {
  nibble: typeof VERSION;
  /** of the answer to it */
  id: number;
  call: keyof Calls;
  with: unknown;
}

/** An error as plain data. */
export interface Failure {
  code: ErrorCode;
  message: string;
  details: ErrorDetails;
}

export type Reply =
  /** the frame is here, and may be connected to; it says so to whoever holds it, and says nothing else */
  | { nibble: typeof VERSION; hello: true }
  | { nibble: typeof VERSION; id: number; done: unknown }
  | { nibble: typeof VERSION; id: number; failed: Failure }
  | { nibble: typeof VERSION; event: string; detail: unknown };

/** Of the chat: told to the page as they happen. */
export const EVENTS = [
  'nibble-open',
  'nibble-close',
  'nibble-ready',
  'nibble-progress',
  'nibble-token',
  'nibble-message',
  'nibble-error',
] as const;

/** Whether what was posted is one of these, by its mark. */
export const isOurs = (data: unknown): data is { nibble: typeof VERSION } & Record<string, unknown> =>
  typeof data === 'object' && data !== null && (data as { nibble?: unknown }).nibble === VERSION;
