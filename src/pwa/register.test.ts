import { afterEach, expect, it, vi } from 'vitest';
import { registerServiceWorker } from './register';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** A page that a version serves while another one waits. */
async function offered() {
  const workers = Object.assign(new EventTarget(), { controller: {}, register: async () => registration });
  const waiting = { postMessage: vi.fn() };
  const update = vi.fn(async () => {});
  const registration = Object.assign(new EventTarget(), { waiting, installing: null, update });
  const document = Object.assign(new EventTarget(), { hidden: false });
  const reload = vi.fn();
  vi.useFakeTimers();
  vi.stubGlobal('document', document);
  vi.stubGlobal('navigator', { serviceWorker: workers });
  vi.stubGlobal('location', { reload });
  let take: (() => void) | undefined;
  await registerServiceWorker(new URL('https://page.example/sw.js'), (update) => {
    take = update;
  });
  take!();
  expect(registration.waiting.postMessage).toHaveBeenCalledWith('skip-waiting');
  expect(reload).not.toHaveBeenCalled();
  return { workers, reload, update, document };
}

it('loads the page again when the new version has begun', async () => {
  const { workers, reload } = await offered();
  workers.dispatchEvent(new Event('controllerchange'));
  expect(reload).toHaveBeenCalledTimes(1);
});

it('does not wait without end for one that does not hear', async () => {
  const { reload } = await offered();
  vi.advanceTimersByTime(3000);
  expect(reload).toHaveBeenCalledTimes(1);
});

it('asks for a new version each hour in which somebody looks, and when somebody looks again', async () => {
  const { update, document } = await offered();
  const hour = 3_600_000;
  vi.advanceTimersByTime(hour - 1);
  document.dispatchEvent(new Event('visibilitychange'));
  expect(update).toHaveBeenCalledTimes(0);
  vi.advanceTimersByTime(1);
  expect(update).toHaveBeenCalledTimes(1);
  document.hidden = true;
  vi.advanceTimersByTime(5 * hour);
  expect(update).toHaveBeenCalledTimes(1);
  update.mockRejectedValueOnce(new TypeError('offline'));
  document.hidden = false;
  document.dispatchEvent(new Event('visibilitychange'));
  document.dispatchEvent(new Event('visibilitychange'));
  expect(update).toHaveBeenCalledTimes(2);
});
