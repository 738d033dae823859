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

interface Node {
  next: Map<number, Node>;
  token?: AddedToken;
}

const WORD_END = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const WORD_START = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const inWord = (text: string, start: number, end: number) =>
  WORD_END.test(text.slice(Math.max(0, start - 2), start)) || WORD_START.test(text.slice(end, end + 2));
const isSpace = (character: string) => /\p{White_Space}/u.test(character);

/**
 * @param tokens with the text to look for
 * @returns what splits a text; special tokens are passed over unless asked for
 */
export function addedTokenSplitter(tokens: readonly [text: string, AddedToken][]) {
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

  const longestAt = (text: string, start: number) => {
    let node: Node | undefined = root;
    let found: { token: AddedToken; end: number } | undefined;
    for (let i = start; i < text.length; i++) {
      node = node.next.get(text.charCodeAt(i));
      if (!node) break;
      if (node.token) found = { token: node.token, end: i + 1 };
    }
    return found;
  };

  return (text: string, special: boolean): Section[] => {
    if (!tokens.length) return text ? [text] : [];
    const out: Section[] = [];
    let done = 0;
    for (let at = 0; at < text.length; ) {
      const found = longestAt(text, at);
      if (!found) {
        at++;
        continue;
      }
      const { token } = found;
      let [start, end] = [at, found.end];
      at = end;
      if (token.special && !special) continue;
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
