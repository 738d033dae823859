/**
 * Finds added tokens in a text as Rust's tokenizers do: from the left, the longest that begins first; then its flags.
 * The library's own search has no way to leave special tokens as plain text, and ignores `single_word`.
 */
export interface AddedToken {
  id: number;
  content: string;
  special: boolean;
  normalized: boolean;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
}

/** A text's part: plain text, or a token's number. */
export type Section = string | number;

/** Characters by those that stand in for them: where one does, no token begins (typed-text.ts). */
export type StandIns = ReadonlyMap<string, string>;

interface Node {
  next: Map<number, Node>;
  token?: AddedToken;
}

const WORD_END = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const WORD_START = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const inWord = (text: string, start: number, end: number) =>
  WORD_END.test(text.slice(Math.max(0, start - 2), start)) || WORD_START.test(text.slice(end, end + 2));
const isSpace = (character: string) => /\p{White_Space}/u.test(character);

export interface Found {
  token: AddedToken;
  end: number;
}

/**
 * @param tokens with the text to look for
 * @returns what finds the longest token that begins at a place
 */
export function tokenFinder(tokens: readonly [text: string, AddedToken][]) {
  const root: Node = { next: new Map() };
  for (const [text, token] of tokens) {
    let node = root;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      const next: Node = node.next.get(code) ?? { next: new Map() };
      node.next.set(code, next);
      node = next;
    }
    node.token = token;
  }

  /** @param first in the place of the character that stands at `start` */
  return (text: string, start: number, first = text[start]): Found | undefined => {
    let node: Node | undefined = root;
    let found: Found | undefined;
    for (let i = 1 - first.length; start + i < text.length; i++) {
      node = node.next.get(i > 0 ? text.charCodeAt(start + i) : first.charCodeAt(i + first.length - 1));
      if (!node) break;
      if (node.token && i >= 0) found = { token: node.token, end: start + i + 1 };
    }
    return found;
  };
}

/**
 * @param tokens with the text to look for
 * @returns what splits a text; special tokens are passed over unless asked for, and all that begin with a stand-in
 */
export function addedTokenSplitter(tokens: readonly [text: string, AddedToken][]) {
  const longestAt = tokenFinder(tokens);
  return (text: string, special: boolean, standIns?: StandIns): Section[] => {
    if (!tokens.length) return text ? [text] : [];
    const out: Section[] = [];
    let done = 0;
    for (let at = 0; at < text.length; ) {
      const typed = standIns?.get(text[at]);
      const found = longestAt(text, at, typed);
      if (!found) {
        at++;
        continue;
      }
      const { token } = found;
      let [start, end] = [at, found.end];
      at = end;
      if (typed !== undefined || (token.special && !special)) continue;
      if (token.single_word && inWord(text, start, end)) continue;
      if (token.lstrip) while (start > done && isSpace(text[start - 1])) start--;
      if (token.rstrip) while (end < text.length && isSpace(text[end])) end++;
      if (start > done) out.push(text.slice(done, start));
      out.push(token.id);
      done = end;
    }
    if (done < text.length) out.push(text.slice(done));
    return out;
  };
}
