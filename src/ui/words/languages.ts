/** The languages of the interface: one file each, fetched when somebody reads it. English is always there. */
import { teach, type Vocabulary, type Words } from './words';

/** By BCP 47, each by its own name. */
export const LANGUAGES = {
  en: 'English',
  zh: '中文',
  es: 'Español',
  de: 'Deutsch',
  fr: 'Français',
  ar: 'العربية',
} as const;

export type Language = keyof typeof LANGUAGES;

const isLanguage = (name: string): name is Language => Object.hasOwn(LANGUAGES, name);

/**
 * @param wanted BCP 47, the best first
 * @returns the first of them that the page speaks, whatever its region; or English
 */
export function chooseLanguage(wanted: readonly string[]): Language {
  for (const language of wanted) {
    const main = language.toLowerCase().split('-')[0];
    if (isLanguage(main)) return main;
  }
  return 'en';
}

const FILES: Record<Exclude<Language, 'en'>, () => Promise<Partial<Words>>> = {
  zh: async () => (await import('./zh')).ZH,
  es: async () => (await import('./es')).ES,
  de: async () => (await import('./de')).DE,
  fr: async () => (await import('./fr')).FR,
  ar: async () => (await import('./ar')).AR,
};

/** All phrases in a language. @throws where its file cannot be had */
export const wordsOf = async (language: Language): Promise<Partial<Words>> =>
  language === 'en' ? {} : FILES[language]();

/** Says all in a language from now on. Where its file cannot be had (offline, before it was ever read), all stays. */
export async function speakLanguage(vocabulary: Vocabulary, language: Language): Promise<void> {
  if (language === vocabulary.language) return;
  try {
    vocabulary.speak(language, await wordsOf(language));
  } catch {
    // as it was
  }
}

/** What the settings and the palette say: whoever opens them has it first. */
export async function learnSettings(): Promise<void> {
  teach((await import('./en-settings')).EN_SETTINGS);
}
