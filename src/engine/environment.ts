/**
 * What the engine runs in. It is written for a page; where there is none, another environment stands in with what it
 * does otherwise (src/node/index.ts), before the first call.
 */
import type { SourceDescription } from '../sources/source';
import type { HubOptions } from './hub-options';

export interface Environment {
  /**
   * The worker of whoever brings none.
   * @param url the caller's `workerUrl`
   */
  createWorker(url?: string | URL): Worker;
  /** Where a model is that was named in words. @throws invalid-option when it is nowhere */
  locate(model: string, hub: HubOptions): SourceDescription;
  /** what helps when the worker does not start */
  workerAdvice: string;
  /** what helps when it is lost, the beginning of a sentence */
  again: string;
}

const PAGE: Partial<Environment> & Pick<Environment, 'workerAdvice' | 'again'> = {
  workerAdvice:
    "Reload the page. Where its Content-Security-Policy forbids workers, allow `worker-src 'self' blob:` (and, for Trusted Types, `trusted-types nibble lit-html`), or serve the file " +
    'that the package exports as nibble-llm/worker, and pass its address as workerUrl, or createWorker.',
  again: 'Reload the page',
};

/** The environment in effect. */
export const environment = PAGE;

/** Lets another environment stand in for the page. */
export function runIn(other: Environment): void {
  Object.assign(environment, other);
}

/** An iPad calls itself a Mac; only its page, not its worker, can tell. */
export const hasTouch = () => globalThis.navigator?.maxTouchPoints > 1;
