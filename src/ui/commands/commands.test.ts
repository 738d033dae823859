import { expect, test, vi } from 'vitest';
import { Vocabulary } from '../words/words';
import { Commands, keyCaps, matches, type PressedKey } from './commands';

const NONE = {
  code: '',
  keyCode: 0,
  isComposing: false,
  ctrlKey: false,
  metaKey: false,
  shiftKey: false,
  altKey: false,
};
const press = (key: string, more: Partial<PressedKey> = {}): PressedKey => ({ ...NONE, key, ...more });

test.each([
  ['Mod+K', press('k', { ctrlKey: true }), true],
  ['Mod+K', press('K', { metaKey: true }), true],
  ['Mod+K', press('k'), false],
  ['Mod+K', press('k', { ctrlKey: true, shiftKey: true }), false],
  ['Mod+K', press('k', { ctrlKey: true, altKey: true }), false],
  ['Mod+Shift+O', press('O', { ctrlKey: true, shiftKey: true }), true],
  ['Mod+Shift+O', press('o', { ctrlKey: true }), false],
  // a keyboard that writes Arabic, and one whose K is elsewhere
  ['Mod+K', press('ن', { ctrlKey: true, code: 'KeyK' }), true],
  ['Mod+K', press('t', { ctrlKey: true, code: 'KeyK' }), false],
  ['/', press('/'), true],
  // German: Shift+7
  ['/', press('/', { shiftKey: true }), true],
  ['?', press('?', { shiftKey: true }), true],
  ['?', press('?', { ctrlKey: true }), false],
  ['Escape', press('Escape'), true],
  ['Escape', press('Escape', { shiftKey: true }), false],
])('%s and %o: %s', (keys, pressed, expected) => expect(matches(keys, pressed)).toBe(expected));

/** A key pressed with the focus in the innermost of these elements. */
function keyDown(pressed: PressedKey, path: unknown[] = [], defaultPrevented = false) {
  const preventDefault = vi.fn();
  return { ...pressed, defaultPrevented, composedPath: () => path, preventDefault } as unknown as KeyboardEvent;
}

const FIELD = { localName: 'textarea' };
const MODAL = { localName: 'dialog', matches: () => true };

test('a pressed key runs the command registered last that can be run, and no other', () => {
  const commands = new Commands();
  const changed = vi.fn();
  commands.addEventListener('change', changed);
  const [first, second] = [vi.fn(), vi.fn()];
  commands.register({ name: 'newChat', keys: 'Mod+K', run: first });
  let can = true;
  const remove = commands.register({ name: 'stop', keys: 'Mod+K', run: second, when: () => can });
  const event = keyDown(press('k', { ctrlKey: true }));
  commands.handle(event);
  expect([first.mock.calls.length, second.mock.calls.length]).toEqual([0, 1]);
  expect(event.preventDefault).toHaveBeenCalledTimes(1);
  can = false;
  commands.handle(event);
  expect([first.mock.calls.length, second.mock.calls.length]).toEqual([1, 1]);
  expect([commands.all.length, commands.now.length]).toEqual([2, 1]);
  remove();
  expect([commands.all.length, changed.mock.calls.length]).toEqual([1, 3]);
  const other = keyDown(press('j', { ctrlKey: true }));
  commands.handle(other);
  expect(other.preventDefault).not.toHaveBeenCalled();
});

test('keys that write stay the field’s, those of an input method its own, and Escape a dialog’s', () => {
  const commands = new Commands();
  const ran: string[] = [];
  for (const keys of ['/', '?', 'Escape', 'Mod+K'])
    commands.register({ name: 'close', keys, run: () => ran.push(keys) });
  const escapeKey = press('Escape');
  const palette = press('k', { ctrlKey: true });
  for (const event of [
    keyDown(press('/'), [FIELD]),
    keyDown(press('?', { shiftKey: true }), [FIELD]),
    keyDown(press('/'), [{ localName: 'div', isContentEditable: true }]),
    keyDown({ ...escapeKey, isComposing: true }, [FIELD]),
    keyDown({ ...escapeKey, keyCode: 229 }, [FIELD]),
    keyDown({ ...palette, isComposing: true }, [FIELD]),
    keyDown(escapeKey, [FIELD], true),
    keyDown(escapeKey, [{ localName: 'button' }, MODAL]),
    keyDown(press('/'), [{ localName: 'button' }, MODAL]),
  ]) {
    commands.handle(event);
  }
  expect(ran).toEqual([]);
  commands.handle(keyDown(press('/'), [{ localName: 'button' }]));
  commands.handle(keyDown(escapeKey, [FIELD]));
  commands.handle(keyDown(palette, [FIELD, MODAL]));
  expect(ran).toEqual(['/', 'Escape', 'Mod+K']);
});

test('keys are shown as the keyboard has them', () => {
  const { say } = new Vocabulary();
  expect(keyCaps('Mod+Shift+O', say, false)).toEqual(['Ctrl', 'Shift', 'O']);
  expect(keyCaps('Mod+Shift+O', say, true)).toEqual(['⌘', '⇧', 'O']);
  expect([keyCaps('Escape', say, false), keyCaps('/', say, true)]).toEqual([['Esc'], ['/']]);
});
