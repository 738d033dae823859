/** The source that a model is fetched from, and what bounds how it is asked. */
import { limitConcurrency } from '../platform/concurrency';
import type { Source } from '../sources/source';
import { isTold } from '../sources/versions';

const IN_FLIGHT = 3;

export interface Origin {
  readonly source: Source;
  /** Runs a task that requests a chunk: IN_FLIGHT at once, in order of arrival. */
  inTurn<T>(task: () => Promise<T>): Promise<T>;
  /** fires when the load is stopped */
  readonly signal: AbortSignal;
  /** Whether nothing but its bytes tells one version of a file from another. */
  isUntold(path: string): boolean;
  /** Stops what is under way. */
  stop(): void;
}

/** @param until stops it, too */
export function createOrigin(source: Source, until?: AbortSignal): Origin {
  const stopping = new AbortController();
  const abort = () => stopping.abort();
  if (until?.aborted) abort();
  until?.addEventListener('abort', abort);
  return {
    source,
    inTurn: limitConcurrency(IN_FLIGHT),
    signal: stopping.signal,
    isUntold(path) {
      const version = source.versions?.get(path);
      return version !== undefined && !(version && isTold(version));
    },
    stop() {
      abort();
      until?.removeEventListener('abort', abort);
    },
  };
}
