/**
 * The service worker: keeps the application's own files, so that the page opens with the server gone. It answers
 * navigations and those files, and nothing else: models (`/models/`, any Range request) are the engine's business and
 * live in IndexedDB. A new version waits until the page asks for it (register.ts).
 */

/** Filled in by the build (scripts/vite-site.ts): a digest of all files, and their paths relative to this script. */
declare const __SHELL__: { version: string; paths: string[] };

const worker = self as unknown as ServiceWorkerGlobalScope;
const shell = __SHELL__;
const PREFIX = 'nibble-shell-';
const CACHE = PREFIX + shell.version;

const home = new URL('./', worker.location.href);
const page = new URL('index.html', home).href;
const files = new Set(shell.paths.map((path) => new URL(path, home).href));

worker.addEventListener('install', (event) => {
  // 'reload': past the HTTP cache, which may still hold the previous version
  const requests = [...files].map((url) => new Request(url, { cache: 'reload' }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(requests)));
});

worker.addEventListener('activate', (event) => {
  event.waitUntil(
    (async () => {
      const names = await caches.keys();
      await Promise.all(
        names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name)),
      );
      await worker.clients.claim();
    })(),
  );
});

worker.addEventListener('message', (event) => {
  if (event.data === 'skip-waiting') void worker.skipWaiting();
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

worker.addEventListener('fetch', (event) => {
  const url = kept(event.request);
  if (url === null) return;
  event.respondWith(caches.match(url, { cacheName: CACHE }).then((response) => response ?? fetch(event.request)));
});
