/**
 * What can be done on the page, by name: whoever can do something registers it, the palette and the list of shortcuts
 * read it, and a pressed key finds it.
 */
import { composes } from '../composes';
import type { PhraseName, Say } from '../words/words';

export interface Command {
  /** the phrase that names it */
  readonly name: PhraseName;
  /**
   * The keys that run it: 'Mod+Shift+O', '/', 'Escape'. Mod is Ctrl or Cmd. A key without Mod that writes something is
   * left to the field in which one types.
   */
  readonly keys?: string;
  /** what is awaited by nobody: it tells its errors itself */
  run(): unknown;
  /** whether it can be done now; absent: always */
  when?(): boolean;
}

/** What of a pressed key counts. */
export type PressedKey = Pick<
  KeyboardEvent,
  'key' | 'code' | 'keyCode' | 'isComposing' | 'ctrlKey' | 'metaKey' | 'shiftKey' | 'altKey'
>;

/**
 * Whether a pressed key is one that a command names. Letters count by their place where the keyboard writes no Latin
 * ones (Arabic, Cyrillic); signs count by what is written, whatever else is held down for it ('?' may need Shift).
 */
export function matches(keys: string, pressed: PressedKey): boolean {
  const parts = keys.split('+');
  const wanted = parts.pop()!;
  if (parts.includes('Mod') !== (pressed.ctrlKey || pressed.metaKey)) return false;
  // AltGr is Ctrl and Alt
  if (parts.includes('Alt') !== pressed.altKey) return false;
  const isLetter = /^[A-Z]$/.test(wanted);
  if ((isLetter || wanted.length > 1) && parts.includes('Shift') !== pressed.shiftKey) return false;
  if (!isLetter) return pressed.key === wanted;
  const typed = pressed.key.toUpperCase();
  return typed === wanted || (!/^[ -~]$/.test(pressed.key) && pressed.code === `Key${wanted}`);
}

/** Whether a key would write into the field that has the focus. */
const writes = (keys: string) => !keys.startsWith('Mod+') && keys.length === 1;

const isField = (target: unknown) => {
  const { localName, isContentEditable } = (target ?? {}) as Partial<HTMLElement>;
  return localName === 'textarea' || localName === 'input' || localName === 'select' || isContentEditable === true;
};

const isModal = (target: unknown) => {
  const { localName, matches } = (target ?? {}) as Partial<HTMLElement>;
  return localName === 'dialog' && matches !== undefined && (target as HTMLElement).matches(':modal');
};

/** The commands of one page. Dispatches 'change' when there are others. */
export class Commands extends EventTarget {
  #commands: Command[] = [];

  /** @returns takes it away again */
  register(command: Command): () => void {
    this.#commands = [...this.#commands, command];
    this.dispatchEvent(new Event('change'));
    return () => {
      this.#commands = this.#commands.filter((other) => other !== command);
      this.dispatchEvent(new Event('change'));
    };
  }

  /** all of them, in the order of their registration */
  get all(): readonly Command[] {
    return this.#commands;
  }

  /** those that can be run now */
  get now(): readonly Command[] {
    return this.#commands.filter(({ when }) => when?.() ?? true);
  }

  /**
   * Runs what a pressed key names, of several the one that was registered last, in the place of the browser's own.
   * Keys that something else has used, that an input method composes with, or that write into a field do nothing. In a
   * modal dialog only keys with Mod count: Escape there is the dialog's.
   */
  readonly handle = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || composes(event)) return;
    const path = event.composedPath();
    const [inField, inDialog] = [isField(path[0]), path.some(isModal)];
    const found = [...this.now].reverse().find(({ keys }) => {
      if (keys === undefined || !matches(keys, event)) return false;
      return !(inField && writes(keys)) && (!inDialog || keys.startsWith('Mod+'));
    });
    if (!found) return;
    event.preventDefault();
    found.run();
  };
}

/** The page's. */
export const commands = new Commands();

const APPLE = { Mod: '⌘', Shift: '⇧', Alt: '⌥' } as const;

/** A key as the keyboard in front of the person has it. @returns 'Ctrl', 'Shift', 'O' or '⌘', '⇧', 'O' */
export function keyCaps(keys: string, say: Say, apple: boolean): string[] {
  const named: Record<string, string> = apple
    ? { ...APPLE, Escape: 'esc' }
    : { Mod: say('keyControl'), Shift: say('keyShift'), Alt: 'Alt', Escape: say('keyEscape') };
  // '+' itself would be the last
  return keys.split('+').map((part) => named[part] ?? part);
}

/** Whether this keyboard has Cmd. */
export const isApple = (): boolean => /mac|iphone|ipad/i.test(navigator.platform ?? '');
