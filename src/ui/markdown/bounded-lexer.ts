/**
 * marked's lexer for text that nobody vouches for: it goes only so many levels deep, it reads no character more than
 * MOST_READ times a level, an address is looked for in at most 64 characters before its `@`, and the ends of emphasis
 * in as many characters as MOST_SEARCHED allows. It is fetched when there is something to read, and imports nothing of
 * ours.
 */
import { Lexer, type Token, type TokensList } from 'marked';

/** How often a character is read in a level: once, and a little for what marked reads twice. */
const MOST_READ = 1.2;

/**
 * How many characters may be searched for each that is read: for every * and _ and ~ that may begin something marked
 * looks at all that follow it. What begins later begins nothing. A short text may take as many as SHORT does.
 */
const MOST_SEARCHED = 25;
const SHORT = 800;

// Before each character marked looks for the `@` of an address, to the end of the word: a long word takes its square.
// The part before the @ has at most 64 characters (RFC 5321, 4.5.3.1.1).
const { gfm } = Lexer.rules.inline;
for (const rule of ['text', 'url'] as const) {
  gfm[rule] = new RegExp(gfm[rule].source.replace(/\]\+(?=\(?@)/g, ']{1,64}'));
}

export class BoundedLexer extends Lexer {
  #depth = 0;
  #read = 0;
  #most = 0;
  #search = 0;
  readonly #deepest: number;

  /** @param deepest levels of quotes, lists and emphasis in each other; what is deeper is text */
  constructor(deepest: number) {
    // with options of its own, which keep the tokenizer: marked has one for all otherwise
    super({ gfm: true });
    this.#deepest = deepest;
    const { tokenizer } = this as unknown as { tokenizer: Record<'emStrong' | 'del', (...all: string[]) => undefined> };
    for (const kind of ['emStrong', 'del'] as const) {
      const whole = tokenizer[kind];
      tokenizer[kind] = (text, ...more) => {
        if (/^[*_~]/.test(text)) this.#search -= text.length;
        return this.#search > 0 ? whole.call(tokenizer, text, ...more) : undefined;
      };
    }
  }

  /** @throws Error where the text takes more work than text does */
  override lex(text: string): TokensList {
    this.#most = MOST_READ * this.#deepest * text.length;
    this.#search = MOST_SEARCHED * Math.max(text.length, SHORT);
    return super.lex(text);
  }

  override blockTokens(text: string, tokens: Token[] = [], clipped?: boolean): TokensList {
    return this.#within(text, tokens, () => super.blockTokens(text, tokens, clipped)) as TokensList;
  }

  override inlineTokens(text: string, tokens: Token[] = []): Token[] {
    return this.#within(text, tokens, () => super.inlineTokens(text, tokens));
  }

  #within(text: string, tokens: Token[], read: () => Token[]): Token[] {
    this.#read += text.length;
    if (this.#read > this.#most) throw new Error('This is no text.');
    // of all types the one that is shown as it was written
    if (this.#depth === this.#deepest) tokens.push({ type: 'html', raw: text, text, pre: false, block: true });
    else {
      this.#depth++;
      read();
      this.#depth--;
    }
    return tokens;
  }
}
