/**
 * Formulas among Markdown: `$…$` and `\(…\)` in a line, `$$…$$` and `\[…\]` by themselves. marked knows none, so its
 * lexer is given them here; what they say is drawn by mathml.ts. A price stays text.
 */
import type { Lexer, Token } from 'marked';

/** A formula, as it was written and without its delimiters. */
export interface Formula {
  type: 'formula';
  raw: string;
  text: string;
  display: boolean;
}

/** Characters of the longest. None has a formula's end looked for beyond the next beginning of one. */
const WRITTEN: readonly [opening: string, whole: RegExp][] = [
  ['$$', /^\$\$((?:[^$\\]|\\[\s\S]){1,2000})\$\$(?!\$)/],
  ['$', /^\$(?!\s)((?:[^$\\\n]|\\[^\n]){1,1000})\$(?![$\w])/],
  ['\\(', /^\\\(((?:[^\\\n]|\\[^()[\]\n]){1,1000})\\\)/],
  ['\\[', /^\\\[((?:[^\\]|\\[^()[\]]){1,2000})\\\]/],
];

/** "5 and 6" is of prices. */
const PRICES = /^[\d.,]+[a-z]?\s[^\\^_=]*?\p{L}{2}[^\\^_=]*$/iu;

/** @param before the character before it in its line */
export function formulaAt(source: string, before = ''): Formula | undefined {
  const kind = WRITTEN.find(([opening]) => source.startsWith(opening));
  if (!kind || (kind[0][0] === '$' && /[\w$]/.test(before))) return;
  const [opening, whole] = kind;
  const [raw, text] = whole.exec(source) ?? [];
  if (!text?.trim() || (opening === '$' && (/\s$/.test(text) || PRICES.test(text)))) return;
  return { type: 'formula', raw: raw!, text: text.trim(), display: opening === '$$' || opening === '\\[' };
}

/** One that stands by itself, with the rest of its last line. */
function formulaBlock(source: string): Formula | undefined {
  const indent = /^ {0,3}(?=\$\$|\\\[)/.exec(source)?.[0];
  const formula = indent === undefined ? undefined : formulaAt(source.slice(indent.length));
  const end = formula && /^[ \t]*(\n|$)/.exec(source.slice(indent!.length + formula.raw.length))?.[0];
  return end === undefined ? undefined : { ...formula!, raw: indent + formula!.raw + end };
}

type Tokenizer = Record<'space' | 'escape', (source: string) => Token | undefined> & {
  rules: { inline: { text: RegExp } };
};

/**
 * The lexer, which reads formulas from now on: as blocks where it looks for blank lines, in lines where it looks for
 * escapes, which is what it does first.
 */
export function withFormulas<L extends Lexer>(lexer: L): L {
  const { tokenizer } = lexer as unknown as { tokenizer: Tokenizer };
  const { space, escape: escaped } = tokenizer;
  const { inline } = tokenizer.rules;
  // text ends before a dollar sign
  if (!inline.text.source.includes('[\\\\$<')) {
    inline.text = new RegExp(inline.text.source.replace('[\\\\<!', '[\\\\$<!'));
  }
  let line = '';
  const read = lexer.inlineTokens;
  lexer.inlineTokens = (source, tokens) => {
    const around = line;
    line = source;
    try {
      return read.call(lexer, source, tokens);
    } finally {
      line = around;
    }
  };
  tokenizer.space = (source) => (formulaBlock(source) as Token | undefined) ?? space.call(tokenizer, source);
  tokenizer.escape = (source) =>
    (formulaAt(source, line.at(-source.length - 1)) as Token | undefined) ?? escaped.call(tokenizer, source);
  return lexer;
}
