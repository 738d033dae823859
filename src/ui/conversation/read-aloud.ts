/** Reads a text aloud, with voices of this device only: others send what they read to a server. */
import { sentencesOf, spokenText } from './sentences';

/** What a voice is chosen by. */
type Voice = Pick<SpeechSynthesisVoice, 'lang' | 'localService' | 'default'>;

/** Languages by the script that only they are written in, or mostly. */
const SCRIPTS: readonly [RegExp, string][] = [
  [/[\u3040-\u30ff]/, 'ja'],
  [/\p{Script=Hangul}/u, 'ko'],
  [/\p{Script=Han}/u, 'zh'],
  [/\p{Script=Arabic}/u, 'ar'],
  [/\p{Script=Hebrew}/u, 'he'],
  [/\p{Script=Cyrillic}/u, 'ru'],
  [/\p{Script=Greek}/u, 'el'],
  [/\p{Script=Devanagari}/u, 'hi'],
  [/\p{Script=Thai}/u, 'th'],
];

/** The language that a text is probably in. @param other where its script does not say */
export function languageOf(text: string, other: string): string {
  return SCRIPTS.find(([script]) => script.test(text))?.[1] ?? other;
}

/** A voice of this device that speaks a language, or else any of them; null: there is none. */
export function localVoice<V extends Voice>(voices: readonly V[], language: string): V | null {
  const local = voices.filter(({ localService }) => localService === true);
  const primary = (tag: string) => tag.split(/[-_]/)[0].toLowerCase();
  const speaks = local.filter(({ lang }) => primary(lang) === primary(language));
  const [same] = speaks.filter(({ lang }) => lang.toLowerCase() === language.toLowerCase());
  return (
    same ??
    speaks.find((voice) => voice.default) ??
    speaks[0] ??
    local.find((voice) => voice.default) ??
    local[0] ??
    null
  );
}

/** Some browsers tell their voices only after they were asked once, and some never. */
const VOICES_MS = 1000;

async function voices(): Promise<SpeechSynthesisVoice[]> {
  const { speechSynthesis } = globalThis;
  if (!speechSynthesis) return [];
  const known = speechSynthesis.getVoices();
  if (known.length > 0) return known;
  await new Promise<void>((resolve) => {
    speechSynthesis.addEventListener('voiceschanged', () => resolve(), { once: true });
    setTimeout(resolve, VOICES_MS);
  });
  return speechSynthesis.getVoices();
}

/**
 * Reads a text in Markdown aloud; what was read before stops.
 * @param language of the page, BCP 47
 * @param code said in the place of code
 * @param ended told when all was read, or it was stopped
 * @returns false where this device has no voice
 */
export async function readAloud(text: string, language: string, code: string, ended: () => void): Promise<boolean> {
  const spoken = languageOf(text, language);
  const voice = localVoice(await voices(), spoken);
  if (voice === null) return false;
  speechSynthesis.cancel();
  const sentences = sentencesOf(spokenText(text, code), spoken);
  for (const [index, sentence] of sentences.entries()) {
    const utterance = new SpeechSynthesisUtterance(sentence);
    utterance.voice = voice;
    utterance.lang = voice.lang;
    utterance.onerror = ended;
    if (index === sentences.length - 1) utterance.onend = ended;
    speechSynthesis.speak(utterance);
  }
  if (sentences.length === 0) ended();
  return true;
}

export function stopReading(): void {
  globalThis.speechSynthesis?.cancel();
}
