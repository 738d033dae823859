import { afterEach, expect, it, vi } from 'vitest';
import { leftAttempt, noteLeaving, unlessLeft } from './leaving';

/** A page that can be hidden, with a storage that can be full. */
function page() {
  const kept = new Map<string, string>();
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  };
  const document = Object.assign(new EventTarget(), { hidden: false });
  vi.stubGlobal('localStorage', storage);
  vi.stubGlobal('document', document);
  const show = (visible: boolean) => {
    document.hidden = !visible;
    document.dispatchEvent(new Event('visibilitychange'));
  };
  return { storage, show };
}
afterEach(() => void vi.unstubAllGlobals());

const attempt = { id: 'a', bytes: 1, at: 2, message: '' };
const told = { name: 'm', lastAttempt: attempt };

it('a load is left while its page is hidden, and no longer when it is back', () => {
  const { show } = page();
  noteLeaving('a');
  expect(unlessLeft(told)).toBe(told);
  show(false);
  expect(leftAttempt()).toBe('a');
  expect(unlessLeft(told)).toEqual({ name: 'm', lastAttempt: null });
  expect(unlessLeft({ lastAttempt: { ...attempt, id: 'b' } }).lastAttempt).not.toBeNull();
  show(true);
  expect([leftAttempt(), unlessLeft(told)]).toEqual([null, told]);
});

it('one that has ended is not, nor is another tab’s forgotten', () => {
  const { storage, show } = page();
  const end = noteLeaving('a');
  end();
  show(false);
  expect(leftAttempt()).toBeNull();
  storage.setItem('nibble-left', 'other');
  noteLeaving('b');
  expect(leftAttempt()).toBe('b');
  storage.setItem('nibble-left', 'other');
  show(true);
  expect(leftAttempt()).toBe('other');
});

it('without a page or with a full storage nothing is known, and nothing breaks', () => {
  expect(leftAttempt()).toBeNull();
  noteLeaving('a')();
  const { storage, show } = page();
  storage.setItem = () => {
    throw new DOMException('full', 'QuotaExceededError');
  };
  noteLeaving('a');
  show(false);
  expect(unlessLeft(told)).toBe(told);
});
