/**
 * Tokens as lit templates. What a model writes is not trusted, so no HTML is ever parsed: only the elements below can
 * come of tokens. HTML in the text is shown as text, links lead to the web or to mail, and nothing fetches (an image is
 * a link to itself), so no answer can send anything anywhere. Each block has the direction of its own text.
 */
import { html, nothing, type TemplateResult } from 'lit';
import type { guard } from 'lit/directives/guard.js';
import type { MarkedToken, Token, Tokens } from 'marked';
import { type Code, codeBlock } from './code-block';
import { formula } from './formula';
import type { Formula } from './formulas';
import { directionOf } from './long-text';

export type Rendered = TemplateResult | ReturnType<typeof guard> | string | typeof nothing | Rendered[];

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
    const leads = protocol === 'mailto:' ? /^[^/]+@./.test(pathname) : /^https?:$/.test(protocol) && host;
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

function heading(token: Tokens.Heading): Rendered {
  const direction = directionOf(token.text);
  const content = within(token);
  // Below the page's own headings, and never deeper than the elements go.
  if (token.depth === 1) return html`<h3 dir=${direction}>${content}</h3>`;
  if (token.depth === 2) return html`<h4 dir=${direction}>${content}</h4>`;
  return html`<h5 dir=${direction}>${content}</h5>`;
}

function list({ raw, ordered, start, items }: Tokens.List): Rendered {
  const direction = directionOf(raw);
  const entries = items.map((item) => html`<li dir=${directionOf(item.text)}>${within(item)}</li>`);
  return ordered
    ? html`<ol dir=${direction} start=${start || 1}>${entries}</ol>`
    : html`<ul dir=${direction}>${entries}</ul>`;
}

/** Characters of a table's name. */
const NAME = 120;

/** It scrolls in a region that the keyboard reaches, and that is called as its columns are. */
function table({ header, rows, align }: Tokens.Table): Rendered {
  const name = header.map(({ text }) => plain(text)).join(', ');
  const cell = (tag: 'th' | 'td') => (each: Tokens.TableCell, column: number) => {
    const side = align[column] ?? nothing;
    const direction = directionOf(each.text);
    return tag === 'th'
      ? html`<th class=${side} dir=${direction}>${within(each)}</th>`
      : html`<td class=${side} dir=${direction}>${within(each)}</td>`;
  };
  return html`<div class="table" role="region" tabindex="0" aria-label=${name.slice(0, NAME)}><table dir=${directionOf(name)}>
    <thead><tr>${header.map(cell('th'))}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${row.map(cell('td'))}</tr>`)}</tbody>
  </table></div>`;
}

/**
 * Levels of quotes, lists and emphasis in each other. What is deeper is text: marked calls itself, and the stack ends.
 */
export const DEEPEST = 100;

/** The type of what marked gave up. */
export const UNREAD = 'unread';

/** How deep the token is in others. */
let depth = 0;

/**
 * What is in a token: quotes in lists in quotes, and what is strong in those, at most DEEPEST of them in each other.
 */
function within({ raw, text, tokens = [] }: { raw?: string; text: string; tokens?: Token[] }): Rendered {
  if (depth === DEEPEST) return raw ?? text;
  depth++;
  // most cells are one piece of text: no array for it
  const content = tokens.length === 1 ? renderToken(tokens[0]) : tokens.map(renderToken);
  depth--;
  return content;
}

/** A block. One that cannot be rendered is shown as it was written. */
export function renderBlock(token: Token): Rendered {
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
  const token = anyToken as MarkedToken | Formula | { type: typeof UNREAD; raw: string };
  switch (token.type) {
    case 'space':
    case 'def':
      return nothing;
    case 'paragraph':
      return html`<p dir=${directionOf(token.text)}>${within(token)}</p>`;
    case 'heading':
      return heading(token);
    case 'list':
      return list(token);
    case 'code':
      return codeBlock(token as Code);
    case 'blockquote':
      return html`<blockquote dir=${directionOf(token.raw)}>${within(token)}</blockquote>`;
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
      return html`<code dir="ltr">${plain(token.text)}</code>`;
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
    case 'formula':
      return formula(token);
    case UNREAD:
      return asWritten(token.raw);
    default:
      // HTML, and whatever marked may learn: as it was written
      return anyToken.raw;
  }
}
