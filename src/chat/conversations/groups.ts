/** The list of conversations in parts: pinned ones, folders, then by the day on which something was said last. */
import type { Say } from '../../ui/words/words';
import type { Entry } from './conversation';

export interface Group {
  /** unique among the groups */
  key: string;
  name: string;
  /** it is a folder */
  folder: string | null;
  entries: Entry[];
}

const DAY = 86_400_000;

/** @param language BCP 47, for months and the order of folders */
export function groupsOf(entries: readonly Entry[], say: Say, language: string, now = new Date()): Group[] {
  const today = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const month = new Intl.DateTimeFormat(language, { month: 'long', year: 'numeric' });
  const groups = new Map<string, Group>();
  const add = (key: string, name: string, entry: Entry, folder: string | null = null) => {
    const group = groups.get(key) ?? { key, name, folder, entries: [] };
    groups.set(key, group);
    group.entries.push(entry);
  };
  for (const entry of entries) if (entry.pinned) add('pinned', say('pinned'), entry);
  const inFolders = entries.filter(({ pinned, folder }) => !pinned && folder !== null);
  const folders = [...new Set(inFolders.map(({ folder }) => folder!))];
  const order = new Intl.Collator(language, { numeric: true });
  for (const folder of folders.sort(order.compare))
    for (const entry of inFolders) if (entry.folder === folder) add(`folder ${folder}`, folder, entry, folder);
  for (const entry of entries) {
    if (entry.pinned || entry.folder !== null) continue;
    if (entry.updated >= today) add('today', say('today'), entry);
    else if (entry.updated >= today - DAY) add('yesterday', say('yesterday'), entry);
    else if (entry.updated >= today - 7 * DAY) add('week', say('lastWeek'), entry);
    else {
      const name = month.format(entry.updated);
      add(name, name, entry);
    }
  }
  return [...groups.values()];
}
