/**
 * Markdown as lit templates, block by block, as it grows: marked reads the text into tokens, a piece at a time, and
 * render-tokens.ts draws them. What cannot be read is shown as it was written.
 */
import { html } from 'lit';
import { guard } from 'lit/directives/guard.js';
import type { Lexer, Token } from 'marked';
import type { Code } from './code-block';
import { withFormulas } from './formulas';
import { endOfPiece, PIECE } from './long-text';
import { DEEPEST, type Rendered, renderBlock, UNREAD } from './render-tokens';

/** Characters of code that stand in one box. */
const CODE = 5 * PIECE;
/** What may begin a block, or an element, takes as long as so many characters that do not. */
const BLOCK_COST = 40;
const COST = 5;
const MARKS = /\n(?!\n)|[<[*_~`!@|:&\\$]/g;

/**
 * How much of a text is read at once: a piece, or less where it is full of marks. @returns characters, and their cost
 */
function readAtOnce(text: string, from: number): { most: number; cost: number } {
  const piece = text.slice(from, from + PIECE);
  let more = 0;
  for (const { 0: mark, index } of piece.matchAll(MARKS)) {
    if (index + more >= PIECE) return { most: index, cost: PIECE };
    more += mark === '\n' ? BLOCK_COST : COST;
  }
  return { most: PIECE, cost: piece.length + more };
}

/** A BoundedLexer: lex() throws an Error where the text takes more work than text does. */
export type Bounded = new (deepest: number) => Lexer;

/** Blocks that are passed over as one when they are finished. */
const GROUP = 64;

const grouped = (blocks: Rendered[]) => html`<div>${blocks}</div>`;

/** One growing text: finished blocks are read and rendered once, only the last is read again as text arrives. */
export class StreamingMarkdown {
  readonly #Lexer: Bounded;
  #text = '';
  /** how much of #text the finished blocks cover */
  #done = 0;
  /** the first GROUP of them as they are, the others in groups, so that an update does not look at each */
  #finished: Rendered[] = [];
  /** those of a group that is not full */
  #group: Rendered[] = [];
  /** what the next piece is read with before it: how the block begins of which it is a part */
  #opening = '';
  /** the next piece goes on with the code of the one before it */
  #inCode = false;

  /** the last update() had no leave to read all of it */
  behind = false;
  #shown: Rendered[] = [];

  constructor(lexer: Bounded) {
    this.#Lexer = lexer;
  }

  /**
   * @param text all of it so far; when it does not continue the last one, everything starts over
   * @param leave how many characters marked may be given now; it gets one piece more, and what it got is taken off
   * @returns what to show, by block; a finished block is the same object every time
   */
  update(text: string, leave = { left: Infinity }): Rendered[] {
    if (!text.startsWith(this.#text)) {
      this.#done = 0;
      this.#finished = [];
      this.#group = [];
      this.#shown = [];
      this.#opening = '';
      this.#inCode = false;
    }
    if (text !== this.#text) this.behind = true;
    this.#text = text;
    while (this.behind && leave.left > 0) {
      const open = this.#readPiece(leave);
      this.behind = !open;
      this.#shown = this.#withOpen(open ?? []);
    }
    return this.#shown;
  }

  #withOpen(open: Rendered[]): Rendered[] {
    if (this.#finished.length < GROUP) return [...this.#finished, ...open];
    return [...this.#finished, grouped([...this.#group, ...open])];
  }

  /** @returns what is not finished; null: there is more to read */
  #readPiece(leave: { left: number }): Rendered[] | null {
    const text = this.#text;
    const code = codeAt(this.#opening + text.slice(this.#done, endOfPiece(text, this.#done, CODE)));
    const { most, cost } = readAtOnce(text, this.#done);
    const end = code ? this.#done + code.raw.length - this.#opening.length : endOfPiece(text, this.#done, most);
    const isLast = end === text.length;
    const piece = this.#opening + text.slice(this.#done, end);
    leave.left -= code ? piece.length + BLOCK_COST : cost;
    const tokens = code?.open ? [code] : this.#read(piece);
    if (this.#inCode && tokens[0]) (tokens[0] as Code).more = true;
    // A block may go on after a blank line (a list does): it is finished only when another one follows. A definition
    // changes how other blocks read: then all of the piece stays open.
    const last = tokens.findLastIndex(({ type }) => type !== 'space');
    const open = tokens.some(({ type }) => type === 'def') ? 0 : Math.max(0, last);
    let index = 0;
    for (; index < open; index++) {
      const raw = tokens[index].raw.slice(this.#opening.length);
      // The lexer normalises line ends and tabs; where it did, what it read no longer counts in our characters.
      if (!text.startsWith(raw, this.#done)) break;
      this.#done += raw.length;
      this.#opening = '';
      this.#inCode = false;
      this.#finish(tokens[index]);
    }
    if (isLast) return tokens.slice(index).map(renderBlock);
    if (index > 0) return null;
    // A block that is longer than a piece ends here. Code and tables go on in the next one.
    for (const token of tokens) this.#finish(token);
    this.#done = end;
    this.#opening = openingOf(tokens.at(-1)!);
    this.#inCode = code !== null && this.#opening !== '';
    return null;
  }

  /** The tokens of a text; where marked gives up, one that is shown as it was written. */
  #read(text: string): Token[] {
    try {
      return withFormulas(new this.#Lexer(DEEPEST)).lex(text);
    } catch {
      return [{ type: UNREAD, raw: text }];
    }
  }

  #finish(token: Token): void {
    const rendered = renderBlock(token);
    const block = guard([rendered], () => rendered);
    if (this.#finished.length < GROUP) {
      this.#finished.push(block);
      return;
    }
    const group = this.#group;
    group.push(block);
    if (group.length < GROUP) return;
    this.#finished.push(guard([group], () => grouped(group)));
    this.#group = [];
  }
}

/**
 * The fenced code that a text begins with, to the end of its last line. What is not closed yet is code to its end, and
 * marked has nothing to read in it.
 */
function codeAt(text: string): Code | null {
  const [head, fence] = /^(`{3,}(?=[^`\n]*\n)|~{3,}).*\n/.exec(text) ?? [];
  if (!head) return null;
  const rest = text.slice(head.length);
  const closing = new RegExp(`^ {0,3}${fence}${fence[0]}* *(\\n|$)`, 'm').exec(rest);
  const raw = closing ? text.slice(0, head.length + closing.index + closing[0].length) : text;
  return { type: 'code', raw, text: rest.replace(/\n$/, ''), open: closing ? '' : head };
}

/** What of a block that ends with its piece makes the rest of it be read as before: a fence, a table's head. */
function openingOf(block: Token): string {
  const opening = block.type === 'table' ? /^.*\n.*\n/.exec(block.raw)?.[0] : (block as Code).open;
  return opening && opening.length < PIECE / 10 ? opening : '';
}
