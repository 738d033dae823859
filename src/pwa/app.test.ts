/** What an installed page has more: a mark on its icon, files opened with it; and how it is installed. */
import { afterEach, expect, it, test, vi } from 'vitest';
import { badgeUnseen } from './badge';
import { Installer, isSafari } from './install';
import { filesOf } from './launch';

afterEach(() => vi.unstubAllGlobals());

it('marks answers that came unseen, until somebody looks', () => {
  const document = Object.assign(new EventTarget(), { hidden: false });
  const badge = {
    setAppBadge: vi.fn(async (_: number) => {}),
    clearAppBadge: vi.fn(() => Promise.reject(new Error('no'))),
  };
  vi.stubGlobal('document', document);
  vi.stubGlobal('navigator', badge);
  const session = new EventTarget();
  const say = (role: string) => session.dispatchEvent(new CustomEvent('message', { detail: { role } }));
  const end = badgeUnseen(session);
  say('assistant');
  document.hidden = true;
  for (const role of ['user', 'assistant', 'assistant']) say(role);
  expect(badge.setAppBadge.mock.calls).toEqual([[1], [2]]);
  document.hidden = false;
  for (let i = 0; i < 2; i++) document.dispatchEvent(new Event('visibilitychange'));
  expect(badge.clearAppBadge).toHaveBeenCalledTimes(1);
  end();
  document.hidden = true;
  say('assistant');
  expect(badge.setAppBadge).toHaveBeenCalledTimes(2);
});

it('does without where a browser has no badges', () => {
  vi.stubGlobal('document', Object.assign(new EventTarget(), { hidden: true }));
  vi.stubGlobal('navigator', {});
  const session = new EventTarget();
  badgeUnseen(session);
  session.dispatchEvent(new CustomEvent('message', { detail: { role: 'assistant' } }));
});

it('reads the files of a launch that can still be read', async () => {
  const there = { kind: 'file', getFile: async () => new File(['x'], 'a.gguf') };
  const gone = {
    kind: 'file',
    getFile: async () => {
      throw new DOMException('gone', 'NotFoundError');
    },
  };
  const namesOf = async (...handles: object[]) =>
    (await filesOf(handles as FileSystemHandle[])).map(({ name }) => name);
  expect(await namesOf(there, gone, { kind: 'directory' })).toEqual(['a.gguf']);
  expect(await namesOf(gone)).toEqual([]);
});

test.each([
  [false, 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/157.0.0.0 Safari/537.36'],
  [
    true,
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/27.2 Safari/605.1.15',
  ],
  [
    true,
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/27.2 Mobile/15E148 Safari/604.1',
  ],
  [false, 'Mozilla/5.0 (X11; Linux x86_64; rv:160.0) Gecko/20100101 Firefox/160.0'],
  [false, 'Mozilla/5.0 (Linux; Android 14) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30'],
])('Safari, %s: %s', (safari, userAgent) => expect(isSafari(userAgent)).toBe(safari));

it('is installed by the browser’s own question, once asked for', async () => {
  const window = new EventTarget();
  vi.stubGlobal('addEventListener', window.addEventListener.bind(window));
  vi.stubGlobal('matchMedia', () => ({ matches: false }));
  vi.stubGlobal('navigator', { userAgent: 'Chrome' });
  const installer = new Installer();
  const changed = vi.fn();
  installer.addEventListener('change', changed);
  expect([installer.how, await installer.install()]).toEqual(['none', false]);
  const offer = (outcome: string) =>
    Object.assign(new Event('beforeinstallprompt', { cancelable: true }), { prompt: async () => ({ outcome }) });
  const event = offer('dismissed');
  window.dispatchEvent(event);
  expect([event.defaultPrevented, installer.how]).toEqual([true, 'prompt']);
  expect([await installer.install(), installer.how]).toEqual([false, 'none']);
  window.dispatchEvent(offer('accepted'));
  expect(await installer.install()).toBe(true);
  window.dispatchEvent(new Event('appinstalled'));
  expect([installer.how, changed.mock.calls.length]).toEqual(['app', 5]);
  // what was said before it was made counts
  expect(new Installer(offer('accepted')).how).toBe('prompt');
});
