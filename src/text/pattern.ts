/** Patterns of tokenizer.json, as what finds their matches one after the other. */
import { publishedSplit } from './published-splits';
import { LinearRegex, literal, type Matches } from './regex';

export type { Matches } from './regex';
export type Pattern = (text: string) => Matches;

/** @param source of a RegExp whose matches are never empty */
function native(source: string): Pattern {
  const anywhere = new RegExp(source, 'gu');
  const here = new RegExp(source, 'uy');
  return (text) => {
    const matches: Matches = {
      start: 0,
      end: 0,
      next() {
        // most patterns leave no gap, and test() makes no object
        here.lastIndex = matches.end;
        matches.start = matches.end;
        if (!here.test(text)) {
          anywhere.lastIndex = matches.end;
          const found = anywhere.exec(text);
          if (!found) return false;
          matches.start = found.index;
          matches.end = anywhere.lastIndex;
        } else matches.end = here.lastIndex;
        return true;
      },
    };
    return matches;
  };
}

/**
 * @param pattern { Regex } of Oniguruma's syntax, or { String }
 * @throws Error for a regex that is broken, too large, or that needs backtracking
 */
export function compile(pattern: { Regex?: unknown; String?: unknown }): Pattern {
  const { Regex: regex, String: text } = pattern;
  const published = typeof regex === 'string' ? publishedSplit(regex) : null;
  if (published !== null) return native(published);
  const linear = new LinearRegex(typeof regex === 'string' ? regex : literal(text as string));
  return (text) => linear.matches(text);
}
