/** What a model thinks before it answers, as a grammar: any text up to the closing mark. */
import { ANY_CHARACTER, charactersOf, difference } from './characters';
import { all, any, type Expression, type Grammar, repeat, rule, set, text, token } from './grammar';

/** White space between the thought and the answer. */
const BETWEEN = 4;

/** The rest of a thought, its closing mark included: the automaton of Knuth, Morris and Pratt. */
export function thoughtGrammar(close: string): Grammar {
  const mark = Array.from(close);
  const rules = new Map<string, Expression>();
  /** how much of the mark stands at the end of this */
  const matched = (read: readonly string[]): number => {
    for (let n = Math.min(read.length, mark.length); n > 0; n--)
      if (mark.slice(0, n).every((c, i) => c === read[read.length - n + i])) return n;
    return 0;
  };
  const letters = [...new Set(mark)];
  for (let at = 0; at < mark.length; at++) {
    const ways = letters.map((c) => {
      const to = matched([...mark.slice(0, at), c]);
      return all(set(c), to === mark.length ? text('') : rule(`${to}`));
    });
    const others = all(set(difference(ANY_CHARACTER, charactersOf(close))), rule('0'));
    rules.set(`${at}`, any(...ways, others, token(close)));
  }
  return { start: rule('0'), rules };
}

/** A mark alone, which may have white space before it. */
export const markGrammar = (mark: string): Grammar => ({
  start: all(repeat(set(' \n'), 0, BETWEEN), token(mark)),
  rules: new Map(),
});

/** An answer behind a thought. */
export const behindThought = ({ start, rules }: Grammar): Grammar => ({
  start: all(repeat(set(' \n'), 0, BETWEEN), start),
  rules,
});
