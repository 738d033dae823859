import { afterEach, expect, it, vi } from 'vitest';
import { registerServiceWorker } from './register';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** A page that a version serves while another one waits. */
async function offered() {
  const workers = Object.assign(new EventTarget(), { controller: {}, register: async () => registration });
  const registration = Object.assign(new EventTarget(), { waiting: { postMessage: vi.fn() }, installing: null });
  const reload = vi.fn();
  vi.useFakeTimers();
  vi.stubGlobal('navigator', { serviceWorker: workers });
  vi.stubGlobal('location', { reload });
  let take: (() => void) | undefined;
  await registerServiceWorker(new URL('https://page.example/sw.js'), (update) => {
    take = update;
  });
  take!();
  expect(registration.waiting.postMessage).toHaveBeenCalledWith('skip-waiting');
  expect(reload).not.toHaveBeenCalled();
  return { workers, reload };
}

it('loads the page again when the new version has begun', async () => {
  const { workers, reload } = await offered();
  workers.dispatchEvent(new Event('controllerchange'));
  expect(reload).toHaveBeenCalledTimes(1);
});

it('does not wait without end for one that does not hear', async () => {
  const { reload } = await offered();
  vi.runAllTimers();
  expect(reload).toHaveBeenCalledTimes(1);
});
