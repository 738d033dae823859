/**
 * The right to write a conversation: a lock that one tab has, as long as it shows the conversation. It ends with the
 * tab, also where that crashes.
 */
import { pageFolder } from '../../ui/remember';

/** How long a page that is loaded again waits for the lock of the one that it was, ms. */
const LOCK_MS = 500;

/** Gives the claim back. */
export type Release = () => void;

export const claimName = (id: string): string => `nibble-chat:${pageFolder()} ${id}`;

/**
 * Holds a lock until it is released, or the page goes.
 * @param signal ends the wait
 * @returns null where another tab has it
 */
export function hold(name: string, signal: AbortSignal = AbortSignal.timeout(LOCK_MS)): Promise<Release | null> {
  const { locks } = navigator;
  // an insecure page has none
  if (!locks) return Promise.resolve(() => {});
  return new Promise((resolve) => {
    const until = () => new Promise<void>((release) => resolve(release));
    locks.request(name, { signal }, until).catch(() => resolve(null));
  });
}
