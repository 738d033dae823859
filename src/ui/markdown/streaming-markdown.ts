/**
 * Markdown as lit templates, block by block. What a model writes is not trusted, so no HTML is ever parsed: marked
 * reads the text into tokens, and only the elements below can come of them. HTML in the text is shown as text, links
 * lead to the web or to mail, and nothing fetches (an image is a link to itself), so no answer can send anything
 * anywhere. What cannot be read is shown as it was written.
 */
import { html, nothing, type TemplateResult } from 'lit';
import { guard } from 'lit/directives/guard.js';
import type { MarkedToken, Token, Tokens } from 'marked';
import { endOfPiece, PIECE } from './long-text';

type Rendered = TemplateResult | ReturnType<typeof guard> | string | typeof nothing | Rendered[];

const ENTITIES: Record<string, string> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'" };
/** marked escapes the text of some tokens for use in HTML; lit escapes by itself. */
const plain = (text: string) => text.replace(/&(?:amp|lt|gt|quot|#39);/g, (entity) => ENTITIES[entity]);

/**
 * The address as it is followed and shown: on the web or of a mailbox, with a host, and with nobody's name and password
 * before it, which is how one host is made to look like another. @returns null for any other
 */
function safe(href: string): string | null {
  try {
    const { protocol, host, username, password, pathname, href: address } = new URL(plain(href));
    const leads = protocol === 'mailto:' ? /.@./.test(pathname) : /^https?:$/.test(protocol) && host;
    return leads && !username && !password ? address : null;
  } catch {
    return null;
  }
}

/** @param shown what the text says; where that is an address, the one that is followed is shown instead */
function link({ raw, href, text }: Tokens.Link | Tokens.Image, shown: () => Rendered): Rendered {
  const address = safe(href);
  if (address === null) return raw;
  const content = /^\s*(https?:|www\.)/i.test(text) ? address : shown();
  return html`<a href=${address} target="_blank" rel="noopener noreferrer">${content}</a>`;
}

function heading(depth: number, content: Rendered): Rendered {
  // Below the page's own headings, and never deeper than the elements go.
  if (depth === 1) return html`<h3>${content}</h3>`;
  if (depth === 2) return html`<h4>${content}</h4>`;
  return html`<h5>${content}</h5>`;
}

function list({ ordered, start, items }: Tokens.List): Rendered {
  const entries = items.map((item) => html`<li>${within(item)}</li>`);
  return ordered ? html`<ol start=${start || 1}>${entries}</ol>` : html`<ul>${entries}</ul>`;
}

function table({ header, rows }: Tokens.Table): Rendered {
  const cells = (row: Tokens.TableCell[]) => row.map((cell) => html`<td>${within(cell)}</td>`);
  return html`<table>
    <thead><tr>${header.map((cell) => html`<th>${within(cell)}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${cells(row)}</tr>`)}</tbody>
  </table>`;
}

/** Characters of code that stand in one box. */
const CODE = 5 * PIECE;
/** What may begin a block, or an element, takes as long as so many characters that do not. */
const BLOCK_COST = 40;
const COST = 5;
const MARKS = /\n(?!\n)|[<[*_~`!@|:&\\]/g;

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

/** Code without an end; `open` is its first line. */
type Open = Tokens.Code & { open: string };

/**
 * Levels of quotes, lists and emphasis in each other. What is deeper is text: marked calls itself, and the stack ends.
 */
export const DEEPEST = 100;

/** Reads a text into tokens: a BoundedLexer's lex(). @throws Error where the text takes more work than text does */
export type Lex = (text: string) => Token[];

/** The type of what marked gave up. */
const UNREAD = 'unread';

/** How deep the token is in others. */
let depth = 0;

/**
 * What is in a token: quotes in lists in quotes, and what is strong in those, at most DEEPEST of them in each other.
 */
function within({ raw, text, tokens = [] }: { raw?: string; text: string; tokens?: Token[] }): Rendered {
  if (depth === DEEPEST) return raw ?? text;
  depth++;
  const content = tokens.map(renderToken);
  depth--;
  return content;
}

/** A block. One that cannot be rendered is shown as it was written. */
function renderBlock(token: Token): Rendered {
  depth = 0;
  try {
    return renderToken(token);
  } catch {
    return asWritten(token.raw);
  }
}

const asWritten = (text: string) => html`<div class="piece">${text}</div>`;

/** A block or a piece of a line. */
function renderToken(anyToken: Token): Rendered {
  const token = anyToken as MarkedToken | { type: typeof UNREAD; raw: string };
  switch (token.type) {
    case 'space':
    case 'def':
      return nothing;
    case 'paragraph':
      return html`<p>${within(token)}</p>`;
    case 'heading':
      return heading(token.depth, within(token));
    case 'list':
      return list(token);
    case 'code':
      return html`<pre tabindex="0"><code>${token.text}</code></pre>`;
    case 'blockquote':
      return html`<blockquote>${within(token)}</blockquote>`;
    case 'table':
      return table(token);
    case 'hr':
      return html`<hr />`;
    case 'br':
      return html`<br />`;
    case 'strong':
      return html`<strong>${within(token)}</strong>`;
    case 'em':
      return html`<em>${within(token)}</em>`;
    case 'del':
      return html`<del>${within(token)}</del>`;
    case 'codespan':
      return html`<code>${plain(token.text)}</code>`;
    case 'link':
      return link(token, () => within(token));
    case 'image':
      return link(token, () => token.text || safe(token.href)!);
    case 'text':
      return token.tokens ? within(token) : plain(token.text);
    case 'checkbox':
      return token.checked ? '☑ ' : '☐ ';
    case 'escape':
      return plain(token.text);
    case UNREAD:
      return asWritten(token.raw);
    default:
      // HTML, and whatever marked may learn: as it was written
      return anyToken.raw;
  }
}

/** Blocks that are passed over as one when they are finished. */
const GROUP = 64;

const grouped = (blocks: Rendered[]) => html`<div>${blocks}</div>`;

/** One growing text: finished blocks are read and rendered once, only the last is read again as text arrives. */
export class StreamingMarkdown {
  readonly #lex: Lex;
  #text = '';
  /** how much of #text the finished blocks cover */
  #done = 0;
  /** the first GROUP of them as they are, the others in groups, so that an update does not look at each */
  #finished: Rendered[] = [];
  /** those of a group that is not full */
  #group: Rendered[] = [];
  /** what the next piece is read with before it: how the block begins of which it is a part */
  #opening = '';

  /** the last update() had no leave to read all of it */
  behind = false;
  #shown: Rendered[] = [];

  constructor(lex: Lex) {
    this.#lex = lex;
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
      this.#finish(tokens[index]);
    }
    if (isLast) return tokens.slice(index).map(renderBlock);
    if (index > 0) return null;
    // A block that is longer than a piece ends here. Code and tables go on in the next one.
    for (const token of tokens) this.#finish(token);
    this.#done = end;
    this.#opening = openingOf(tokens.at(-1)!);
    return null;
  }

  /** The tokens of a text; where marked gives up, one that is shown as it was written. */
  #read(text: string): Token[] {
    try {
      return this.#lex(text);
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
function codeAt(text: string): Open | null {
  const [head, fence] = /^(`{3,}(?=[^`\n]*\n)|~{3,}).*\n/.exec(text) ?? [];
  if (!head) return null;
  const rest = text.slice(head.length);
  const closing = new RegExp(`^ {0,3}${fence}${fence[0]}* *(\\n|$)`, 'm').exec(rest);
  const raw = closing ? text.slice(0, head.length + closing.index + closing[0].length) : text;
  return { type: 'code', raw, text: rest.replace(/\n$/, ''), open: closing ? '' : head };
}

/** What of a block that ends with its piece makes the rest of it be read as before: a fence, a table's head. */
function openingOf(block: Token): string {
  const opening = block.type === 'table' ? /^.*\n.*\n/.exec(block.raw)?.[0] : (block as Open).open;
  return opening && opening.length < PIECE / 10 ? opening : '';
}
