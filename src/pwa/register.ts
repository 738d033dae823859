/** Registers the service worker, and tells when a newer version of the page is waiting. */

/**
 * A new version that has not begun by then does not hear: the page that is there is loaded again, and offers it anew.
 */
const BEGIN_MS = 3000;

/** How often a page that stays open asks for a new version, ms. A browser asks at each navigation, and daily. */
const ASK_MS = 3_600_000;

/**
 * @param onUpdate called when a new version is ready; calling what it gets activates it and reloads the page
 */
export async function registerServiceWorker(script: URL, onUpdate: (reload: () => void) => void): Promise<void> {
  // some embedders have the name and nothing behind it
  if (!navigator.serviceWorker) return;
  const registration = await navigator.serviceWorker.register(script);
  askForUpdates(registration);

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

/** Asks each hour in which somebody looks, and when somebody looks again after one. Without a network there is none. */
function askForUpdates(registration: ServiceWorkerRegistration): void {
  let asked = Date.now();
  const ask = () => {
    if (document.hidden || Date.now() - asked < ASK_MS) return;
    asked = Date.now();
    registration.update().catch(() => {});
  };
  document.addEventListener('visibilitychange', ask);
  setInterval(ask, ASK_MS);
}
