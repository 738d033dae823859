/**
 * What another application shares with the installed page (https://w3c.github.io/web-share-target/level-2/): the
 * service worker keeps the form as it was sent, and the page that it opens takes it, once, as a draft. Nothing of it is
 * sent anywhere.
 */

/** Where the manifest's share_target sends it, relative to the page. */
export const SHARE = 'share';

/** The page's query parameter then: '' or, where it could not be kept, 'lost'. */
export const SHARED = 'shared';

export interface Shared {
  /** title, text and address, a line each; '' where there is none */
  text: string;
  files: File[];
}

/** A path has no blanks. Not one of the caches that a new version deletes. */
const cacheOf = ({ pathname }: URL) => `nibble-shared ${pathname}`;

/**
 * In the service worker: keeps what is shared in the place of what was shared before and not taken.
 * @param home the page's folder
 * @returns leads to the page
 */
export async function keepShared(request: Request, home: URL): Promise<Response> {
  const page = new URL(home);
  try {
    // with its type, in which the parts' boundary stands
    const headers = { 'content-type': request.headers.get('content-type') ?? '' };
    const cache = await caches.open(cacheOf(home));
    await cache.put(new URL(SHARE, home), new Response(await request.blob(), { headers }));
    page.searchParams.set(SHARED, '');
  } catch {
    page.searchParams.set(SHARED, 'lost');
  }
  return Response.redirect(page.href, 303);
}

/**
 * In the page: takes what was shared.
 * @param home the page's folder
 * @returns null where there is nothing, or nothing that can be read
 */
export async function takeShared(home: URL): Promise<Shared | null> {
  const name = cacheOf(home);
  try {
    const kept = await caches.match(new URL(SHARE, home), { cacheName: name });
    if (!kept) return null;
    const form = await kept.formData();
    const lines = ['title', 'text', 'url'].map((field) => form.get(field)).filter((value) => typeof value === 'string');
    const files = form.getAll('files').filter((value) => value instanceof File && value.size > 0) as File[];
    const text = [...new Set(lines.map((line) => line.trim()))].filter(Boolean).join('\n');
    return text || files.length > 0 ? { text, files } : null;
  } catch {
    return null;
  } finally {
    await caches.delete(name).catch(() => {});
  }
}
