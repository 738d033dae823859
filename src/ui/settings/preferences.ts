/** What a person prefers on this page, whatever the conversation: kept in this browser, the same in all its tabs. */
import type { ChatSettings } from '../conversation/chat-settings';
import { recall, remember } from '../remember';
import { checkSettings } from './check-settings';

export const THEMES = ['system', 'light', 'dark'] as const;
export const TEXT_SIZES = ['small', 'normal', 'large', 'largest'] as const;

export interface PreferenceValues {
  theme: (typeof THEMES)[number];
  textSize: (typeof TEXT_SIZES)[number];
  /** BCP 47; '': the first of the browser's languages that this page speaks */
  language: string;
  /** what a new conversation begins with */
  conversation: ChatSettings;
}

const DEFAULTS: PreferenceValues = { theme: 'system', textSize: 'normal', language: '', conversation: {} };

/** localStorage has them as one JSON text. */
export const PREFERENCES_KEY = 'nibble-preferences';

/** What is no preference, or none that this version knows, is its default. */
function read(text: string | null): PreferenceValues {
  let said: Partial<Record<keyof PreferenceValues, unknown>> | null = null;
  try {
    said = JSON.parse(text ?? '{}');
  } catch {
    // another version's, or somebody's own
  }
  const { theme, textSize, language, conversation } = said ?? {};
  const oneOf = <T>(all: readonly T[], value: unknown, standard: T) =>
    all.includes(value as T) ? (value as T) : standard;
  return {
    theme: oneOf(THEMES, theme, DEFAULTS.theme),
    textSize: oneOf(TEXT_SIZES, textSize, DEFAULTS.textSize),
    language: typeof language === 'string' && language.length < 36 ? language : DEFAULTS.language,
    conversation: checkSettings(conversation),
  };
}

/** Dispatches 'change' when one is another, here or in another tab. */
export class Preferences extends EventTarget {
  #text = recall(PREFERENCES_KEY);
  #values = read(this.#text);

  constructor() {
    super();
    // another tab of this page
    globalThis.addEventListener?.('storage', () => {
      const text = recall(PREFERENCES_KEY);
      if (text === this.#text) return;
      this.#text = text;
      this.#values = read(text);
      this.dispatchEvent(new Event('change'));
    });
  }

  get<Name extends keyof PreferenceValues>(name: Name): PreferenceValues[Name] {
    return this.#values[name];
  }

  /** Where nothing may be stored, it holds for this visit. */
  set<Name extends keyof PreferenceValues>(name: Name, value: PreferenceValues[Name]): void {
    this.#values = { ...this.#values, [name]: value };
    const other = Object.entries(this.#values).filter(
      ([key, each]) => JSON.stringify(each) !== JSON.stringify(DEFAULTS[key as keyof PreferenceValues]),
    );
    this.#text = other.length === 0 ? null : JSON.stringify(Object.fromEntries(other));
    remember(PREFERENCES_KEY, this.#text);
    this.dispatchEvent(new Event('change'));
  }
}

/** The page's. */
export const preferences = new Preferences();
