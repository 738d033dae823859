/**
 * What an answer may be, as a context-free grammar over characters: the one form that a JSON Schema, a regular
 * expression, a choice, a GBNF grammar and a forced tool call become, and the only one that is matched.
 */
import { charactersOf, type Ranges } from './characters';

export type Expression =
  /** these characters, in this order; '' is nothing */
  | { type: 'text'; text: string }
  /** one character of the set */
  | { type: 'set'; set: Ranges }
  /** one after the other; none: nothing */
  | { type: 'all'; parts: readonly Expression[] }
  /** one of them; none: what cannot be written */
  | { type: 'any'; parts: readonly Expression[] }
  /** `least` to `most` times (Infinity: without end) */
  | { type: 'repeat'; part: Expression; least: number; most: number }
  /** what the rule of that name says */
  | { type: 'rule'; name: string }
  /** a mark that is a control token of the tokenizer where it has one of that name, and its text otherwise */
  | { type: 'token'; name: string };

export interface Grammar {
  /** the whole answer */
  start: Expression;
  rules: ReadonlyMap<string, Expression>;
}

export const text = (value: string): Expression => ({ type: 'text', text: value });
export const set = (of: Ranges | string): Expression => ({
  type: 'set',
  set: typeof of === 'string' ? charactersOf(of) : of,
});
export const all = (...parts: readonly (Expression | string)[]): Expression =>
  parts.length === 1 ? expression(parts[0]) : { type: 'all', parts: parts.map(expression) };
export const any = (...parts: readonly (Expression | string)[]): Expression =>
  parts.length === 1 ? expression(parts[0]) : { type: 'any', parts: parts.map(expression) };
export const repeat = (part: Expression | string, least: number, most = Number.POSITIVE_INFINITY): Expression => ({
  type: 'repeat',
  part: expression(part),
  least,
  most,
});
export const optional = (part: Expression | string): Expression => repeat(part, 0, 1);
export const rule = (name: string): Expression => ({ type: 'rule', name });
export const token = (name: string): Expression => ({ type: 'token', name });

/** What cannot be written. */
export const NEVER: Expression = { type: 'any', parts: [] };

const expression = (of: Expression | string): Expression => (typeof of === 'string' ? text(of) : of);

/** One of these texts; those that begin alike are written together as long as they are. */
export function oneOf(texts: readonly string[]): Expression {
  const sorted = [...new Set(texts)].sort();
  const build = (from: number, end: number, at: number): Expression => {
    if (end - from === 1) return text(sorted[from].slice(at));
    let common = at;
    const [first, last] = [sorted[from], sorted[end - 1]];
    while (common < first.length && first[common] === last[common]) common++;
    // a pair of surrogates is one character
    if (common > at && (first.charCodeAt(common - 1) & 0xfc00) === 0xd800) common--;
    const parts: Expression[] = [];
    for (let i = from; i < end; ) {
      const code = sorted[i].codePointAt(common);
      let next = i + 1;
      while (next < end && sorted[next].codePointAt(common) === code) next++;
      parts.push(next - i === 1 ? text(sorted[i].slice(common)) : build(i, next, common));
      i = next;
    }
    const rest = any(...parts);
    return common > at ? all(text(first.slice(at, common)), rest) : rest;
  };
  return sorted.length === 0 ? NEVER : build(0, sorted.length, 0);
}

/** One of these texts, and nothing else. */
export const choice = (texts: readonly string[]): Grammar => ({ start: oneOf(texts), rules: new Map() });
