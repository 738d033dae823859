/** A text as it is spoken: by sentences, without the marks of Markdown. */

/** Fenced code, closed or not. */
const CODE = /^ {0,3}(`{3,}|~{3,})[^\n]*\n[\s\S]*?(\n {0,3}\1[`~]* *(?=\n|$)|$)/gm;

/** What is read of a text in Markdown. @param code said in the place of code */
export function spokenText(text: string, code: string): string {
  return text
    .replace(CODE, `\n\n${code}\n\n`)
    .replace(/!?\[([^\]\n]*)\]\([^)\n]*\)/g, '$1')
    .replace(/^ {0,3}(#{1,6} |> ?|[-*+] |\d+[.)] )/gm, '')
    .replace(/^\s*\|?[\s:|-]+\|?\s*$/gm, '')
    .replace(/[*_`~|]+/g, ' ')
    .replace(/[ \t]+/g, ' ')
    .replace(/ *\n */g, '\n')
    .replace(/\n{2,}/g, '\n\n')
    .trim();
}

/** Sentences and paragraphs, each with its end. @param language BCP 47 */
export function sentencesOf(text: string, language: string): string[] {
  const paragraphs = text.split(/\n{2,}/);
  if (!('Segmenter' in Intl)) return paragraphs.filter((part) => part.trim() !== '');
  const segmenter = new Intl.Segmenter(language, { granularity: 'sentence' });
  return paragraphs
    .flatMap((part) => [...segmenter.segment(part)].map(({ segment }) => segment.trim()))
    .filter((part) => part !== '');
}

/** A growing text, told by finished sentences: each one once. */
export class Sentences {
  #told = 0;

  /**
   * @param text all that there is
   * @param whole nothing comes after it
   * @returns what is new: sentences that have an end, or all the rest
   */
  next(text: string, language: string, code: string, whole = false): string {
    // what ends with a word may go on; so may a number after its point
    const spoken = spokenText(text, code);
    const all = sentencesOf(spoken, language);
    const finished = whole || /[.!?。！？…؟]["'”’)\]]*\s*$/.test(text) ? all.length : Math.max(0, all.length - 1);
    const ends = whole ? finished : Math.min(finished, all.length - (/\d\.\s*$/.test(text) ? 1 : 0));
    if (ends <= this.#told) return '';
    const fresh = all.slice(this.#told, ends).join(' ');
    this.#told = ends;
    return fresh;
  }
}
