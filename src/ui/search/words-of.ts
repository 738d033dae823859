/**
 * The words of a text in any language, as a search compares them: by Intl.Segmenter, which knows where the words of
 * Chinese, Japanese and Thai end, in one case and without accents. Pure.
 */

const HAN = /^\p{Script=Han}+$/u;
/** Runs of letters, marks and digits: the words of scripts that put blanks between them. */
const RUNS = /[\p{L}\p{M}\p{N}]+/gu;
/** Scripts that put none. */
const UNDIVIDED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;

/** Firefox before 125 has none. */
const segmenter =
  typeof Intl !== 'undefined' && 'Segmenter' in Intl ? new Intl.Segmenter(undefined, { granularity: 'word' }) : null;

/** "Größe" -> "grosse", "CAFÉ" -> "cafe": compatibility forms, no marks, one case, and ß as it is written in Zürich. */
export const fold = (text: string): string =>
  text
    .normalize('NFKD')
    .replace(/\p{Mn}/gu, '')
    .toLowerCase()
    .replaceAll('ß', 'ss');

/**
 * In their order. Words of Han characters are told with their characters, for a question may be divided otherwise than
 * the text is, and puts characters together otherwise: 防潮 in the text, 防止受潮 in the question.
 */
export function wordsOf(text: string): string[] {
  const words: string[] = [];
  for (const [run] of fold(text).matchAll(RUNS)) {
    if (!UNDIVIDED.test(run)) words.push(run);
    else if (segmenter === null) words.push(...run);
    else
      for (const { segment } of segmenter.segment(run)) {
        words.push(segment);
        if (segment.length > 1 && HAN.test(segment)) words.push(...segment);
      }
  }
  return words;
}
