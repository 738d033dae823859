/** Registers the service worker, and tells when a newer version of the page is waiting. */

/**
 * A new version that has not begun by then does not hear: the page that is there is loaded again, and offers it anew.
 */
const BEGIN_MS = 3000;

/**
 * @param onUpdate called when a new version is ready; calling what it gets activates it and reloads the page
 */
export async function registerServiceWorker(script: URL, onUpdate: (reload: () => void) => void): Promise<void> {
  if (!('serviceWorker' in navigator)) return;
  const registration = await navigator.serviceWorker.register(script);

  const announce = (waiting: ServiceWorker) =>
    onUpdate(() => {
      const reload = () => location.reload();
      navigator.serviceWorker.addEventListener('controllerchange', reload, { once: true });
      setTimeout(reload, BEGIN_MS);
      waiting.postMessage('skip-waiting');
    });

  const watch = (installing: ServiceWorker) =>
    installing.addEventListener('statechange', () => {
      // Without a controller this is the first version, not a newer one.
      if (installing.state === 'installed' && navigator.serviceWorker.controller) announce(installing);
    });

  if (registration.waiting && navigator.serviceWorker.controller) announce(registration.waiting);
  if (registration.installing) watch(registration.installing);
  registration.addEventListener('updatefound', () => registration.installing && watch(registration.installing));
}
