/** What the settings show of what this page keeps, how it is taken along, and how all of it is deleted. */
import { deleteSavedCache, savedCaches } from '../engine';
import type { ModelLibrary } from '../ui/models/model-library';
import { pageFolder } from '../ui/remember';
import type { Keeping } from '../ui/settings/storage-facts';
import type { Conversation } from './conversations/conversation';
import { asJson } from './conversations/export';
import { ConversationStore } from './conversations/store';

/** Choices that this page remembers, by their keys in localStorage; those of other pages have other folders. */
function forgetChoices(): void {
  const own = Object.keys(localStorage).filter((key) => key.startsWith('nibble-') && key.endsWith(` ${pageFolder()}`));
  for (const key of own) localStorage.removeItem(key);
}

/** The page's files, which make it work offline: they come back with its next visit. */
async function deletePageFiles(): Promise<void> {
  const here = new URL('.', document.baseURI).href;
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) if (request.url.startsWith(here)) await cache.delete(request);
  }
  for (const registration of (await navigator.serviceWorker?.getRegistrations()) ?? [])
    if (registration.scope === here) await registration.unregister();
}

async function everything(store: ConversationStore): Promise<Conversation[]> {
  const entries = await store.list().catch(() => []);
  const all = await Promise.all(entries.map(({ id }) => store.read(id)));
  return all.filter((one) => one !== undefined);
}

export function keepingOf(library: ModelLibrary): Keeping {
  const store = new ConversationStore();
  return {
    models: () => library.stored(),
    caches: () => savedCaches(),
    async conversations() {
      const all = await everything(store);
      const bytes = all.reduce((sum, { thread }) => sum + 2 * JSON.stringify(thread).length, 0);
      return { count: all.length, bytes };
    },
    exportAll: async () => new Blob([asJson(await everything(store))], { type: 'application/json' }),
    async deleteAll() {
      for (const { name } of await savedCaches()) await deleteSavedCache(name);
      for (const model of await library.stored()) await library.remove(model);
      for (const { id } of await store.list().catch(() => [])) await store.remove(id);
      await deletePageFiles();
      forgetChoices();
    },
  };
}
