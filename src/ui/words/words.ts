/** What an interface says, in the language that was chosen: phrases by name, with numbers and names put in. */
import { EN } from './en';
import type { EN_APP } from './en-app';
import type { EN_COMPOSER } from './en-composer';
import type { EN_CONVERSATIONS } from './en-conversations';
import type { EN_MESSAGES } from './en-messages';
import type { EN_MODELS } from './en-models';
import type { EN_SETTINGS } from './en-settings';
import type { EN_WIDGET } from './en-widget';

/** Forms by plural category (CLDR); `other` is every number's that has none of its own. */
export type Plural = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

/** The name of a phrase, as en.ts has it, or one of those that come later. */
export type PhraseName =
  | keyof typeof EN
  | keyof typeof EN_APP
  | keyof typeof EN_COMPOSER
  | keyof typeof EN_CONVERSATIONS
  | keyof typeof EN_MESSAGES
  | keyof typeof EN_MODELS
  | keyof typeof EN_SETTINGS
  | keyof typeof EN_WIDGET;

/** All phrases in one language. */
export type Words = Readonly<Record<PhraseName, string | Plural>>;

/** English as far as it is here: what is said where a language lacks a phrase. */
const ENGLISH: Partial<Record<PhraseName, string | Plural>> = { ...EN };

/** Adds English phrases that come with what says them. Languages other than English are whole from their beginning. */
export function teach(words: Partial<Words>): void {
  Object.assign(ENGLISH, words);
}

/** What is put in for `{name}`; numbers are written as the language does. `count` chooses among plural forms. */
export type Put = Readonly<Record<string, string | number>>;

/** Says a phrase. A name that is not put in stays as it is written. */
export type Say = (name: PhraseName, put?: Put) => string;

/** Languages that are written from right to left. */
const RIGHT_TO_LEFT = /^(ar|fa|he|ur)\b/;

/** The words of one page or widget. Dispatches 'change' when they are others. */
export class Vocabulary extends EventTarget {
  #language = 'en';
  #words: Partial<Words> = {};

  /** BCP 47 */
  get language(): string {
    return this.#language;
  }

  get direction(): 'ltr' | 'rtl' {
    return RIGHT_TO_LEFT.test(this.#language) ? 'rtl' : 'ltr';
  }

  /**
   * From now on these words are said.
   * @param language BCP 47
   * @param words a phrase that is missing is said in English
   */
  speak(language: string, words: Partial<Words>): void {
    this.#language = language;
    this.#words = words;
    this.dispatchEvent(new Event('change'));
  }

  readonly say: Say = (name, put = {}) => {
    const phrase: string | Plural = this.#words[name] ?? ENGLISH[name] ?? name;
    const form =
      typeof phrase === 'string'
        ? phrase
        : (phrase[new Intl.PluralRules(this.#language).select(Number(put.count))] ?? phrase.other);
    return form.replace(/\{(\w+)\}/g, (whole, key: string) => {
      const value = put[key];
      return typeof value === 'number' ? value.toLocaleString(this.#language) : (value ?? whole);
    });
  };
}

/** The page's. A widget has one of its own. */
export const pageVocabulary = new Vocabulary();
