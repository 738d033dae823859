/** Web Locks as tabs use them here: as a mark that somebody lives, which ends with its tab whatever ends that. */

/** @returns what releases the lock; null where somebody has it */
export function takeIfFree(locks: LockManager, name: string): Promise<(() => void) | null> {
  return new Promise((resolve, reject) => {
    const held = (lock: Lock | null) => {
      if (!lock) return resolve(null);
      return new Promise<void>((release) => resolve(release));
    };
    locks.request(name, { ifAvailable: true }, held).catch(reject);
  });
}

/** A lock of a name that nobody else has. */
export async function mark(locks: LockManager, kind: string): Promise<{ name: string; release: () => void }> {
  const name = `${kind}:${crypto.randomUUID()}`;
  return { name, release: (await takeIfFree(locks, name))! };
}

/** Calls `ended` when nobody holds the lock any more, unless the signal fires before. */
export function whenFree(locks: LockManager, name: string, signal: AbortSignal, ended: () => void): void {
  // the browser refuses a signal that has fired
  locks.request(name, { signal }, ended).catch(() => {});
}
