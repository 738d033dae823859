/**
 * What tabs agree on, by Web Locks. Whoever downloads a model holds its download lock alone, so that no two tabs fetch
 * the same bytes. Whoever loads or holds a model shares its use lock; who deletes or checks it needs that lock alone.
 * Locks end with the worker that holds them. Without Web Locks (an insecure page) nothing is waited for; in Node, where
 * other processes share what is kept, files stand in for them (src/node/file-locks.ts).
 */
import { asNibbleError, NibbleError } from '../errors';

type Release = () => void;

/** Takes a lock of that name. @returns what releases it; null where it is not free and was to be taken only if so */
export type Acquire = (name: string, options: LockOptions) => Promise<Release | null>;

let acquireElsewhere: Acquire | null = null;

/** Lets other locks stand in for Web Locks. */
export function lockBy(acquire: Acquire): void {
  acquireElsewhere = acquire;
}

function acquire(name: string, options: LockOptions): Promise<Release | null> {
  if (acquireElsewhere) return acquireElsewhere(name, options);
  const locks = globalThis.navigator?.locks;
  if (!locks) return Promise.resolve(() => {});
  return new Promise((resolve, reject) => {
    const held = (lock: Lock | null) => {
      if (!lock) return resolve(null);
      return new Promise<void>((release) => resolve(release));
    };
    locks.request(name, options, held).catch((error) => reject(asNibbleError(error)));
  });
}

/**
 * Waits until this tab alone may download the model.
 * @param waits is told when another one does
 * @returns the function that lets the next tab go on
 * @throws aborted
 */
export async function lockDownload(key: string, signal?: AbortSignal, waits?: () => void): Promise<Release> {
  const name = `nibble:${key}`;
  const free = waits ? await acquire(name, { ifAvailable: true }) : null;
  if (free) return free;
  waits?.();
  return (await acquire(name, { signal }))!;
}

/**
 * Keeps the model from being deleted until the returned function is called.
 * @param waits is told when somebody deletes or checks it
 * @throws aborted
 */
export async function lockUse(key: string, signal?: AbortSignal, waits?: () => void): Promise<Release> {
  const name = `nibble-use:${key}`;
  const free = waits ? await acquire(name, { mode: 'shared', ifAvailable: true }) : null;
  if (free) return free;
  waits?.();
  return (await acquire(name, { mode: 'shared', signal }))!;
}

/** Takes a lock of that name for as long as this worker lives. @returns whether there are locks here */
export async function holdWhileAlive(name: string): Promise<boolean> {
  if (!globalThis.navigator?.locks) return false;
  return acquire(name, {}).then(
    () => true,
    () => false,
  );
}

/** After how long it is asked again whether a model is used, ms: others who ask at the same time hold its lock, too. */
const ASK_AGAIN_MS = [20, 100];

/** Whether no tab that lives loads or holds the model. */
export async function isUnused(key: string): Promise<boolean> {
  for (const ms of [0, ...ASK_AGAIN_MS]) {
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
    const release = await acquire(`nibble-use:${key}`, { ifAvailable: true });
    release?.();
    if (release) return true;
  }
  return false;
}

/** Runs `work` while nobody uses the model. @throws storage-unavailable at once when somebody does */
export async function whileUnused<T>(key: string, work: () => Promise<T>): Promise<T> {
  const release = await acquire(`nibble-use:${key}`, { ifAvailable: true });
  if (!release) {
    const message = `The model ${key} is loaded here or in another tab or program. Close it there (or call dispose()) first.`;
    throw new NibbleError('storage-unavailable', message, { key, reason: 'in-use' });
  }
  try {
    return await work();
  } finally {
    release();
  }
}

/** Runs `work` when no other tab saves or deletes a conversation's cache. @throws aborted */
export async function whileSaving<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const release = await acquire('nibble-saved', { signal });
  try {
    return await work();
  } finally {
    release?.();
  }
}
