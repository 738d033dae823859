/** What ends a request before it is done. */
export interface Stoppable {
  /** When it fires, the request fails as `aborted`. */
  signal?: AbortSignal;
}

/**
 * Runs some work for as long as a signal of the caller's does not fire; that stops what listens to `stopping`.
 * @param signal - the caller's
 */
export async function stoppedBy<T>(
  signal: AbortSignal | undefined,
  stopping: AbortController,
  work: () => Promise<T>,
): Promise<T> {
  const stop = () => stopping.abort();
  if (signal?.aborted) stop();
  signal?.addEventListener('abort', stop);
  try {
    return await work();
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}
