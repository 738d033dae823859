/** Patterns of tokenizer.json, as what finds their matches one after the other. */
import { SplitPreTokenizer } from '@huggingface/tokenizers';

/** The matches in one text, from the left. */
export interface Matches {
  /** of the match that next() has found */
  start: number;
  end: number;
  /** Goes to the next match; false where there is none. */
  next(): boolean;
}

export type Pattern = (text: string) => Matches;

/** @param pattern { Regex } or { String } @throws SyntaxError for a broken regex */
export function compile(pattern: object): Pattern {
  // the library knows how Oniguruma's regexes are written for JavaScript
  const { source, flags } = new SplitPreTokenizer({ type: 'Split', pattern, invert: true } as never).pattern as RegExp;
  const anywhere = new RegExp(source, flags);
  const here = new RegExp(source, flags.replace('g', 'y'));
  return (text) => {
    let from = 0;
    const matches: Matches = {
      start: 0,
      end: 0,
      next() {
        if (from > text.length) return false;
        // most patterns leave no gap, and test() makes no object
        here.lastIndex = from;
        if (here.test(text)) {
          matches.start = from;
          matches.end = here.lastIndex;
        } else {
          anywhere.lastIndex = from;
          const found = anywhere.exec(text);
          if (!found) return false;
          matches.start = found.index;
          matches.end = anywhere.lastIndex;
        }
        const { start, end } = matches;
        from = end > start ? end : end + ((text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1);
        return true;
      },
    };
    return matches;
  };
}
