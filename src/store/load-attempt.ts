/**
 * The mark that a load leaves while it allocates. Some systems kill a tab that takes too much memory, without a word:
 * the mark that nobody cleared tells the next start of it.
 */
import type { LoadAttempt } from '../protocol';
import type { LoadMark, ModelStore } from './chunk-store';
import { isUnused } from './locks';

/**
 * Writes the mark.
 * @returns what clears it, at the load's end of whichever kind. A store that fails is no reason not to load
 */
export async function beginAttempt({ loading }: ModelStore, mark: LoadMark): Promise<() => Promise<void>> {
  await loading.put(mark).catch(() => {});
  return async () => {
    // another tab may have begun a load meanwhile
    if ((await loading.get().catch(() => null))?.id === mark.id) await loading.delete().catch(() => {});
  };
}

/** The last load of this model, where the tab died under it. */
export async function lastAttempt({ loading }: ModelStore, key: string): Promise<LoadAttempt | null> {
  const mark = await loading.get().catch(() => null);
  if (mark?.key !== key || !(await isUnused(key))) return null;
  const { id, bytes, at } = mark;
  const message = `The last load of this model ended without a word, perhaps for want of memory: it was to take ${Math.ceil(bytes / 1e6)} MB. A smaller model, context or memory budget takes less.`;
  return { id, bytes, at, message };
}
