/** The options of `nibble serve`. */
import type { Specs } from './spec';

/** What a server listens to, and whom it answers. */
export interface ServeOptions {
  /** TCP port, 0 for any that is free; 8080, as llama-server has it */
  port: number;
  /** names by which it may be asked, beside loopback's; an address among them is listened on, in loopback's place */
  host: string[];
  /** origins of pages that may ask; '*' is any */
  cors: string[];
  /** what each request has to show */
  apiKey: string;
  /** names that requests may call the model by, beside its own */
  alias: string[];
  /** requests that are answered at once */
  parallel: number;
  /** bytes of a request */
  maxBody: number;
}

export const SERVE_OPTIONS = {
  port: {
    type: 'number',
    only: 'cli',
    least: 0,
    most: 65535,
    whole: true,
    default: 8080,
    says: 'TCP port; 0 is any that is free.',
  },
  host: {
    type: 'texts',
    only: 'cli',
    says: "A name by which the server may be asked, beside loopback's. An IP address is listened on, in the place of 127.0.0.1; 0.0.0.0 is all of this machine.",
  },
  cors: {
    type: 'texts',
    only: 'cli',
    says: 'Origin of pages that may ask, such as http://localhost:3000; * is any. Without it no page may.',
  },
  apiKey: {
    type: 'text',
    only: 'cli',
    says: 'What each request must show, as Authorization: Bearer or x-api-key. NIBBLE_API_KEY says it out of sight of ps.',
  },
  alias: { type: 'texts', only: 'cli', says: 'Another name that requests may call the model by, beside its own.' },
  parallel: {
    type: 'number',
    only: 'cli',
    least: 1,
    most: 16,
    whole: true,
    default: 4,
    says: 'Requests that are answered at once; the rest wait, in order.',
  },
  maxBody: {
    type: 'number',
    only: 'cli',
    least: 1024,
    most: 2 ** 30,
    whole: true,
    default: 8 * 2 ** 20,
    says: 'Bytes that a request may have; larger ones are refused with 413.',
  },
} as const satisfies Specs<ServeOptions>;
