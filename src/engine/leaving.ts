/**
 * Who hides or closes a page while a model loads may have its process ended without a word, and so leaves the same mark
 * as a load that took too much memory (store/load-attempt.ts). The page notes it where it can be written at once.
 */
import type { LoadAttempt } from '../protocol';

const KEY = 'nibble-left';

/** Opaque origins, workers and Node have no storage, and a full one takes nothing: nothing is known then. */
function withStorage<T>(use: (storage: Storage) => T): T | null {
  try {
    return use(globalThis.localStorage);
  } catch {
    return null;
  }
}

/** The attempt that was left last. */
export const leftAttempt = (): string | null => withStorage((storage) => storage.getItem(KEY));

/** Notes that this attempt was ended on purpose. */
export const noteLeft = (attempt: string) => withStorage((storage) => storage.setItem(KEY, attempt));

/** Notes whether the page is hidden, from now on. @returns what ends that */
export function noteLeaving(attempt: string): () => void {
  const page = globalThis.document;
  const note = () =>
    withStorage((storage) => {
      if (page.hidden) storage.setItem(KEY, attempt);
      else if (storage.getItem(KEY) === attempt) storage.removeItem(KEY);
    });
  note();
  page?.addEventListener('visibilitychange', note);
  return () => page?.removeEventListener('visibilitychange', note);
}

/** What is told of a model, less the attempt that was left. */
export const unlessLeft = <T extends { lastAttempt: LoadAttempt | null }>(told: T): T =>
  told.lastAttempt?.id === leftAttempt() ? { ...told, lastAttempt: null } : told;
