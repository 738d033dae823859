/**
 * What was typed is text: it goes through a chat template with other characters in the place of those that begin a
 * control token, so that only what the template itself writes commands. The encoder puts the characters back as text.
 *
 * Every character that could begin a control token is replaced, not only whole tokens: a template may join two parts
 * of a message, or take a word out of one, and a token would come of it. What the template itself may look for, such as
 * `</think>`, stays as it is.
 */
import { NibbleError } from '../errors';
import type { AddedToken, Finder, StandIns } from './added-tokens';

export interface ControlTokens {
  /** finds the places where added tokens begin, and the longest of each */
  find(text: string): Finder;
  isControl(token: AddedToken): boolean;
  /** first characters of control tokens */
  firsts: readonly string[];
  /** first UTF-16 units of all added tokens */
  starts: ReadonlySet<string>;
}

export interface Hidden<T> {
  value: T;
  standIns: StandIns;
}

/**
 * Where stand-ins are taken from: characters that mean nothing, then those that nobody agreed upon, then letters
 * without case. None of them is a space, nor changed by a string method.
 */
const RANGES = [
  [0xfdd0, 0xfdef],
  [0xe000, 0xf8ff],
  [0x4e00, 0x9fff],
] as const;

/** White space must stay what it is for trim(), and letters for comparisons: of those only whole tokens are broken. */
const ALONE = /[\p{P}\p{S}]/u;

/**
 * @param value JSON: every string in it is replaced, names of properties too
 * @param source the template's
 * @param unlike texts that must not hold a stand-in: what else the template is given
 * @param marks control tokens that stay in what the assistant said, as the template may look for them
 * @throws NibbleError invalid-option for a text that leaves no character to stand in
 */
export function hideControl<T>(
  value: T,
  { find, isControl, firsts, starts }: ControlTokens,
  source: string,
  unlike: string,
  marks: readonly string[] = [],
): Hidden<T> {
  if (!firsts.length) return { value, standIns: new Map() };
  const used = [JSON.stringify(value) ?? '', source, unlike];
  const standIns = new Map<string, string>();
  for (const first of firsts) standIns.set(freeCharacter(used, standIns), first);
  const standInFor = new Map([...standIns].map(([standIn, first]) => [first, standIn]));
  const looked = literals(source).filter(
    (text) => firsts.some((first) => text.includes(first)) && !controlIn(text, { find, isControl }),
  );
  const begins = new Set(looked.map((text) => text[0]));
  const alone = new Map([...standInFor].filter(([first]) => ALONE.test(first)));

  const hideText = (text: string, left: readonly string[]): string => {
    const out: string[] = [];
    let done = 0;
    let looksUntil = 0;
    const next = find(text);
    for (let at = 0; at < text.length; at++) {
      if (begins.has(text[at])) {
        for (const part of looked) if (text.startsWith(part, at)) looksUntil = Math.max(looksUntil, at + part.length);
      }
      if (!starts.has(text[at])) continue;
      const character = String.fromCodePoint(text.codePointAt(at)!);
      const nearest = next(at);
      const found = nearest?.start === at ? nearest : undefined;
      const breaks = found ? isControl(found.token) && !left.includes(found.token.content) : at >= looksUntil;
      const standIn = breaks && (found ? standInFor : alone).get(character);
      if (standIn) {
        if (at > done) out.push(text.slice(done, at));
        out.push(standIn);
        done = at + character.length;
      }
      if (found) at = found.end - 1;
    }
    out.push(text.slice(done));
    return out.join('');
  };
  const hide = (value: unknown, left: readonly string[]): unknown => {
    if (typeof value === 'string') return hideText(value, left);
    if (Array.isArray(value)) return value.map((item) => hide(item, left));
    if (typeof value !== 'object' || value === null) return value;
    const inner = 'role' in value && value.role === 'assistant' ? marks : left;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [hideText(name, left), hide(item, inner)]));
  };
  return { value: hide(value, []) as T, standIns };
}

/** A character as JSON without any but ASCII has it. */
const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16)}`;

/** A text in which stand-ins that the template has escaped, as tojson(ensure_ascii=true) does, are themselves. */
export function unescapeStandIns(text: string, standIns: StandIns): string {
  let out = text;
  for (const standIn of standIns.keys()) out = out.replaceAll(escaped(standIn), standIn);
  return out;
}

/** The text with the characters back in their places. */
export function showControl(text: string, standIns: StandIns): string {
  let out = text;
  // in a replacement $$ is $
  for (const [standIn, character] of standIns) out = out.replaceAll(standIn, character.replace('$', '$$$$'));
  return out;
}

function freeCharacter(used: readonly string[], taken: StandIns): string {
  for (const [from, to] of RANGES) {
    for (let code = from; code <= to; code++) {
      const character = String.fromCharCode(code);
      const free = (text: string) => !text.includes(character) && !text.includes(escaped(character));
      if (!taken.has(character) && used.every(free)) return character;
    }
  }
  throw new NibbleError('invalid-option', 'The messages use every character that there is. Shorten them.');
}

function controlIn(text: string, { find, isControl }: Pick<ControlTokens, 'find' | 'isControl'>): boolean {
  const next = find(text);
  for (let found = next(0); found; found = next(found.start + 1)) if (isControl(found.token)) return true;
  return false;
}

/** The strings in a template's tags. */
function literals(source: string): string[] {
  const tags = source.match(/\{[{%].*?[}%]\}/gs) ?? [];
  return tags.flatMap((tag) =>
    [...tag.matchAll(/(['"])((?:\\.|(?!\1)[^\\])*)\1/gs)].map(([, , text]) =>
      text.replace(/\\(.)/gs, (_, character) => ({ n: '\n', t: '\t', r: '\r' })[character as string] ?? character),
    ),
  );
}
