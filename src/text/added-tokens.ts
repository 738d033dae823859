/**
 * Finds added tokens in a text as Rust's tokenizers do: from the left, the longest that begins first; then its flags.
 * The library's own search has no way to leave special tokens as plain text, and ignores `single_word`.
 */
import type { AddedToken } from '@huggingface/tokenizers';
import { ABSENT, PairMap } from './pair-map';

export type { AddedToken };

/** A text's part: plain text, or a token's number. */
export type Section = string | number;

/** Characters by those that stand in for them: where one does, no token begins (typed-text.ts). */
export type StandIns = ReadonlyMap<string, string>;

const WORD_END = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const WORD_START = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const inWord = (text: string, start: number, end: number) =>
  WORD_END.test(text.slice(Math.max(0, start - 2), start)) || WORD_START.test(text.slice(end, end + 2));
const isSpace = (character: string) => /\p{White_Space}/u.test(character);

export interface Found {
  start: number;
  end: number;
  token: AddedToken;
}

/** Gives the first place from `at` on where a token begins, and the longest that begins there; `at` must not sink. */
export type Finder = (at: number) => Found | undefined;

/**
 * A text is read once, from the right, by an automaton of the tokens written backwards (Aho & Corasick 1975): at each
 * place it knows the longest token that begins there, however long tokens are and however much alike.
 * @param tokens with the text to look for
 */
export function tokenFinder(tokens: readonly (readonly [text: string, AddedToken])[]) {
  const nodes = 1 + tokens.reduce((sum, [text]) => sum + text.length, 0);
  const next = new PairMap(nodes);
  const [parent, unit, depth] = [new Int32Array(nodes), new Uint16Array(nodes), new Uint16Array(nodes)];
  /** where to go on when a text is no longer a token's; and the longest token that begins here, as its place + 1 */
  const [fallback, token] = [new Int32Array(nodes), new Int32Array(nodes)];
  let count = 1;
  tokens.forEach(([text], index) => {
    let node = 0;
    for (let i = text.length - 1; i >= 0; i--) {
      let child = next.get(node, text.charCodeAt(i));
      if (child === ABSENT) {
        child = count++;
        next.set(node, text.charCodeAt(i), child);
        parent[child] = node;
        unit[child] = text.charCodeAt(i);
        depth[child] = depth[node] + 1;
      }
      node = child;
    }
    if (node) token[node] = index + 1;
  });
  const step = (from: number, code: number): number => {
    let node = from;
    for (;;) {
      const to = next.get(node, code);
      if (to !== ABSENT) return to;
      if (node === 0) return 0;
      node = fallback[node];
    }
  };
  for (const node of byDepth(depth.subarray(0, count))) {
    if (node === 0) continue;
    if (depth[node] > 1) fallback[node] = step(fallback[parent[node]], unit[node]);
    token[node] ||= token[fallback[node]];
  }

  /** @param standIns tokens begin with what they stand for; inside of a token they are themselves */
  return (text: string, standIns?: StandIns): Finder => {
    const starts: number[] = [];
    const found: number[] = [];
    // by number, as millions of texts of one character would be made
    const typedFor = new Map([...(standIns ?? [])].map(([standIn, typed]) => [standIn.charCodeAt(0), typed]));
    let node = 0;
    for (let at = count > 1 ? text.length - 1 : -1; at >= 0; at--) {
      const code = text.charCodeAt(at);
      const typed = typedFor.size ? typedFor.get(code) : undefined;
      let here = node;
      for (let i = (typed?.length ?? 0) - 1; i >= 0; i--) here = step(here, typed!.charCodeAt(i));
      node = step(node, code);
      if (typed === undefined) here = node;
      // a half of the character is none
      if (!token[here] || (typed && tokens[token[here] - 1][0].length < typed.length)) continue;
      starts.push(at);
      found.push(token[here] - 1);
    }
    return (from) => {
      while (starts.length && starts[starts.length - 1] < from) {
        starts.pop();
        found.pop();
      }
      if (!starts.length) return undefined;
      const start = starts[starts.length - 1];
      const [content, token] = tokens[found[found.length - 1]];
      const more = (typedFor.get(text.charCodeAt(start))?.length ?? 1) - 1;
      return { start, end: start + content.length - more, token };
    };
  };
}

/** Numbers of the nodes, those of the least depth first. */
function byDepth(depth: Uint16Array): Int32Array {
  const places = new Int32Array(depth.reduce((most, d) => Math.max(most, d), 0) + 2);
  for (const d of depth) places[d + 1]++;
  for (let d = 1; d < places.length; d++) places[d] += places[d - 1];
  const order = new Int32Array(depth.length);
  depth.forEach((d, node) => {
    order[places[d]++] = node;
  });
  return order;
}

/**
 * @param tokens with the text to look for
 * @returns what splits a text; special tokens are passed over unless asked for, and all that begin with a stand-in
 */
export function addedTokenSplitter(tokens: readonly (readonly [text: string, AddedToken])[]) {
  const find = tokenFinder(tokens);
  return (text: string, special: boolean, standIns?: StandIns): Section[] => {
    const next = find(text, standIns);
    const out: Section[] = [];
    let done = 0;
    // the spaces that were passed over last: one in them need not look for their end again
    let spaces = { start: 0, end: 0 };
    const endOfSpaces = (start: number) => {
      if (start < spaces.start || start > spaces.end) {
        let end = start;
        while (end < text.length && isSpace(text[end])) end++;
        spaces = { start, end };
      }
      return spaces.end;
    };
    for (let found = next(0); found; found = next(found.end)) {
      const { token } = found;
      let { start, end } = found;
      if (standIns?.has(text[start]) || (token.special && !special)) continue;
      if (token.single_word && inWord(text, start, end)) continue;
      if (token.lstrip) while (start > done && isSpace(text[start - 1])) start--;
      if (token.rstrip) end = endOfSpaces(end);
      if (start > done) out.push(text.slice(done, start));
      out.push(token.id);
      done = end;
    }
    if (done < text.length) out.push(text.slice(done));
    return out;
  };
}
