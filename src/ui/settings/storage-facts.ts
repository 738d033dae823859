/** What this page keeps on the device, and what the browser says about it. */
import type { SavedCache, StoredModel } from '../../protocol';

/** What the settings ask of the page around them. */
export interface Keeping {
  models(): Promise<StoredModel[]>;
  caches(): Promise<SavedCache[]>;
  /** how many conversations there are, and bytes of their texts */
  conversations(): Promise<{ count: number; bytes: number }>;
  /** one file with all conversations */
  exportAll(): Promise<Blob>;
  /** models, caches, conversations, preferences and page files */
  deleteAll(): Promise<void>;
}

export interface StorageFacts {
  models: { count: number; bytes: number };
  caches: { count: number; bytes: number };
  conversations: { count: number; bytes: number };
  /** files of the page itself, which its service worker keeps */
  page: { count: number; bytes: number };
  /** null: the browser does not tell */
  estimate: { usage: number; quota: number } | null;
  /** the browser promised not to clear it by itself; null: it does not tell */
  persisted: boolean | null;
}

const sum = (all: readonly number[]) => all.reduce((total, each) => total + each, 0);

/** What the service worker keeps; other pages of this origin may have files there, too. */
async function pageFiles(): Promise<{ count: number; bytes: number }> {
  const here = new URL('.', document.baseURI).href;
  try {
    const sizes: number[] = [];
    for (const name of await caches.keys()) {
      const cache = await caches.open(name);
      const requests = (await cache.keys()).filter(({ url }) => url.startsWith(here));
      for (const request of requests) sizes.push((await (await cache.match(request))?.blob())?.size ?? 0);
    }
    return { count: sizes.length, bytes: sum(sizes) };
  } catch {
    return { count: 0, bytes: 0 };
  }
}

/** A store that cannot be read counts as empty: what the others have is still said. */
async function or<T>(what: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await what;
  } catch {
    return otherwise;
  }
}

export async function storageFacts(keeping: Keeping): Promise<StorageFacts> {
  const { storage } = navigator;
  const [models, saved, conversations, page, estimate, persisted] = await Promise.all([
    or(keeping.models(), []),
    or(keeping.caches(), []),
    or(keeping.conversations(), { count: 0, bytes: 0 }),
    pageFiles(),
    or(storage?.estimate?.() ?? Promise.resolve(null), null),
    or(storage?.persisted?.() ?? Promise.resolve(null), null),
  ]);
  return {
    models: { count: models.length, bytes: sum(models.map(({ storedBytes }) => storedBytes)) },
    caches: { count: saved.length, bytes: sum(saved.map(({ bytes }) => bytes)) },
    conversations,
    page,
    estimate: estimate && { usage: estimate.usage ?? 0, quota: estimate.quota ?? 0 },
    persisted,
  };
}

/** Safari deletes what a site wrote after seven days without a visit, unless the site was put on the home screen. */
export const isSafari = (userAgent = navigator.userAgent): boolean =>
  /Version\/[\d.]+.*Safari\//.test(userAgent) && !/Chrom|Android|Edg/.test(userAgent);

/** The page runs as an app. */
export const isInstalled = (): boolean =>
  matchMedia('(display-mode: standalone)').matches || (navigator as { standalone?: boolean }).standalone === true;
