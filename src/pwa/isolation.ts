/**
 * Headers with which a page is cross-origin isolated: only then does a browser give it memory that its workers share,
 * which threads of WebAssembly need (https://html.spec.whatwg.org/multipage/browsers.html#coep). 'require-corp', not
 * 'credentialless': the chat page takes nothing from other origins but what fetch() gets with CORS (the Hub), which
 * both let through alike, and Safari knows the first one only.
 */

/** Of the worker's script: an isolated page may start no worker whose script comes without it. */
export const WORKER_HEADERS = { 'Cross-Origin-Embedder-Policy': 'require-corp' };

/** Of the page. */
export const PAGE_HEADERS = { 'Cross-Origin-Opener-Policy': 'same-origin', ...WORKER_HEADERS };

/**
 * What the page's service worker adds to an answer where the server sends no headers and the site's owner has asked for
 * it. A page that another frames gets nothing: its frame, and what it frames itself, stay as the server has them.
 *
 * @param destination of the request
 * @returns null: nothing
 */
export function addedTo(destination: RequestDestination): Readonly<Record<string, string>> | null {
  if (destination === 'document') return PAGE_HEADERS;
  return destination === 'worker' ? WORKER_HEADERS : null;
}
