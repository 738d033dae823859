/**
 * Prompts that a person saved, to be put into the field by `/name`: kept in this browser (remember.ts), the newest
 * first. A name is one word, so that it ends where the next blank is.
 */
import { recall, remember } from '../remember';

export interface SavedPrompt {
  readonly name: string;
  readonly text: string;
}

const KEY = 'nibble-prompts';
/** All of a page's share what localStorage has, some 5 MB. */
const MOST = 200;
const LONGEST = 20_000;
const LONGEST_NAME = 40;

/** "/Sum up" -> "Sum-up"; '' where nothing of it can stay */
export const promptName = (typed: string): string =>
  typed
    .normalize('NFC')
    .replace(/^[\s/]+/, '')
    .trim()
    .replace(/\s+/g, '-')
    .slice(0, LONGEST_NAME);

const isPrompt = (value: unknown): value is SavedPrompt => {
  const { name, text } = (value ?? {}) as Partial<SavedPrompt>;
  return typeof name === 'string' && typeof text === 'string' && name !== '' && promptName(name) === name;
};

/** What is not a prompt, as another version or another page may have left it, is passed over. */
export function savedPrompts(): SavedPrompt[] {
  try {
    const kept: unknown = JSON.parse(recall(KEY) ?? '[]');
    return Array.isArray(kept) ? kept.filter(isPrompt).map(({ name, text }) => ({ name, text })) : [];
  } catch {
    return [];
  }
}

/** @returns whether the browser keeps it */
function keep(prompts: readonly SavedPrompt[]): boolean {
  const list = prompts.length === 0 ? null : JSON.stringify(prompts);
  remember(KEY, list);
  return recall(KEY) === list;
}

const without = (name: string) => savedPrompts().filter((prompt) => prompt.name !== name);

/** Why a prompt was not saved: the name of a phrase (words/en.ts). */
export type PromptFault = 'promptNeedsName' | 'promptNeedsText' | 'promptTooLong' | 'promptsFull' | 'promptNotKept';

/**
 * Saves a prompt, in the place of one with the same name.
 * @param before the name that it had until now, where it is one that is changed
 * @returns null, or why it was not saved
 */
export function savePrompt(typed: string, text: string, before?: string): PromptFault | null {
  const name = promptName(typed);
  if (name === '') return 'promptNeedsName';
  if (text.trim() === '') return 'promptNeedsText';
  if (text.length > LONGEST) return 'promptTooLong';
  const others = without(name).filter((prompt) => prompt.name !== before);
  if (others.length >= MOST) return 'promptsFull';
  return keep([{ name, text }, ...others]) ? null : 'promptNotKept';
}

/** @returns what brings it back, to where it was */
export function deletePrompt(name: string): () => void {
  const before = savedPrompts();
  keep(without(name));
  return () => void keep(before);
}

/** What a text that begins with `/` may mean: those whose name begins with it, then those whose name has it. */
export function promptsFor(text: string): SavedPrompt[] {
  const typed = /^\/(\S*)$/.exec(text)?.[1].toLocaleLowerCase();
  if (typed === undefined) return [];
  const place = ({ name }: SavedPrompt) => name.toLocaleLowerCase().indexOf(typed);
  const fits = savedPrompts().filter((prompt) => place(prompt) >= 0);
  return [...fits.filter((prompt) => place(prompt) === 0), ...fits.filter((prompt) => place(prompt) > 0)];
}
