/**
 * The service worker: keeps the application's own files, so that the page opens with the server gone. It answers
 * navigations and those files, and nothing else: models (`/models/`, any Range request) are the engine's business and
 * live in IndexedDB. A new version waits until the page asks for it (register.ts). An origin may have several pages,
 * each with a worker of its own: their caches are one set, so that each says whose it is, and deletes its own older
 * ones only. What is kept is what the build wrote: a network's log-in page, or a server that answers everything with
 * its home page, has the same addresses. Where one file is another, this version is not installed, and the one before
 * stays. What few visitors need is kept when it is first used, and goes over to the next version. Kept answers have the
 * headers that the server sent; registered as `sw.js?isolate`, this worker adds those that isolate the page
 * (isolation.ts), for servers that cannot. What another application shares with the installed page is kept for it
 * (shared.ts), and what its tabs tell each other goes through it (carry.ts).
 */
import { carry, isCarried } from './carry';
import { addedTo } from './isolation';
import { keepShared, SHARE } from './shared';
import { digestOf, isKeptOnUse, type Shell } from './shell';

/** Filled in by the build (scripts/bundling/vite-site.ts). */
declare const __SHELL__: Shell;

const worker = self as unknown as ServiceWorkerGlobalScope;
const shell = __SHELL__;

const home = new URL('./', worker.location.href);
const page = new URL('index.html', home).href;
const isolates = worker.location.search === '?isolate';
/** A path has no blanks. */
const OURS = `nibble-page ${home.pathname} `;
const CACHE = OURS + shell.version;
/** Until November 2026 the pages of an origin shared the caches of the versions that they had in common. */
const SHARED = 'nibble-shell-';
/** digests by address */
const files = new Map(Object.entries(shell.files).map(([path, digest]) => [new URL(path, home).href, digest]));
/** addresses of those that are kept when they are used */
const onUse = new Set(
  Object.keys(shell.files)
    .filter(isKeptOnUse)
    .map((path) => new URL(path, home).href),
);

/** A file as the build wrote it, if it is. */
async function asBuilt(url: string, response: Response): Promise<Response | null> {
  const bytes = await response.arrayBuffer();
  if (!response.ok || (await digestOf(url, bytes)) !== files.get(url)) return null;
  // one that was led here from another address may not answer a navigation
  return new Response(bytes, { headers: response.headers });
}

/** @throws Error where a file is not the one that the build wrote */
async function install(): Promise<void> {
  const atOnce = [...files.keys()].filter((url) => !onUse.has(url));
  const fetched = atOnce.map(async (url): Promise<[string, Response]> => {
    // 'reload': past the HTTP cache, which may still hold the previous version
    const ours = await asBuilt(url, await fetch(new Request(url, { cache: 'reload' })));
    if (!ours) throw new Error(`${url} is not what this version of the page consists of.`);
    return [url, ours];
  });
  const all = await Promise.all(fetched);
  const cache = await caches.open(CACHE);
  await Promise.all(all.map(([url, response]) => cache.put(url, response)));
  // of the version before: what is the same in this one
  for (const url of onUse) {
    const before = await caches.match(url);
    const ours = before && (await asBuilt(url, before));
    if (ours) await cache.put(url, ours);
  }
}

/** A file that is kept when it is used. One that is not the build's is answered, and not kept. */
async function used(url: string): Promise<Response> {
  const response = await fetch(url);
  const ours = await asBuilt(url, response.clone());
  if (ours) await (await caches.open(CACHE)).put(url, ours).catch(() => {});
  return response;
}

worker.addEventListener('install', (event) => event.waitUntil(install()));

worker.addEventListener('activate', (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) {
        if (name.startsWith(OURS) && name !== CACHE) await caches.delete(name);
        if (name.startsWith(SHARED)) await leave(name);
      }
      await worker.clients.claim();
    })(),
  );
});

/**
 * Takes this page's files, and nobody's, out of a cache that it may share with others, which goes when it has no more.
 */
async function leave(name: string): Promise<void> {
  const cache = await caches.open(name);
  const held = await cache.keys();
  // each page has its index.html there; a file belongs to the nearest
  const homes = held.map(({ url }) => /.*\/(?=index\.html$)/.exec(url)?.[0]);
  const owner = (url: string) =>
    homes
      .filter((other) => other && url.startsWith(other))
      .sort()
      .at(-1) ?? home.href;
  const ours = held.filter(({ url }) => owner(url) === home.href);
  await Promise.all(ours.map((request) => cache.delete(request)));
  if (ours.length > 0 && ours.length === held.length) await caches.delete(name);
}

worker.addEventListener('message', (event) => {
  const { data, source, ports } = event;
  if (data === 'skip-waiting') void worker.skipWaiting();
  if (isCarried(data)) event.waitUntil(carry(worker.clients, home, data, (source as Client).id, ports));
});

/** Which kept file answers a request, if any. */
function kept(request: Request): string | null {
  if (request.method !== 'GET' || request.headers.has('range')) return null;
  const url = new URL(request.url);
  if (request.mode === 'navigate' && url.origin === home.origin && url.pathname === home.pathname) return page;
  url.search = '';
  url.hash = '';
  return files.has(url.href) ? url.href : null;
}

/** From the cache; a page that is not ours, and what is not there, from the network. */
async function answer(request: Request, url: string): Promise<Response> {
  const response = await caches.match(url, { cacheName: CACHE });
  const ours = response && url === page ? await asBuilt(url, response) : response;
  const answered = ours ?? (await (onUse.has(url) ? used(url) : fetch(request)));
  // a page that is isolated by now must get its worker isolated, wherever that comes from
  const added = isolates && (ours || request.destination === 'worker') ? addedTo(request.destination) : null;
  if (!added) return answered;
  const headers = new Headers(answered.headers);
  for (const [name, value] of Object.entries(added)) headers.set(name, value);
  return new Response(answered.body, { status: answered.status, headers });
}

const isShared = ({ method, url }: Request) => method === 'POST' && url === new URL(SHARE, home).href;

worker.addEventListener('fetch', (event) => {
  if (isShared(event.request)) return event.respondWith(keepShared(event.request, home));
  const url = kept(event.request);
  if (url !== null) event.respondWith(answer(event.request, url));
});
