/**
 * Markdown as lit templates, block by block. What a model writes is not trusted, so no HTML is ever parsed: marked reads
 * the text into tokens, and only the elements below can come of them. HTML in the text is shown as text, links lead to
 * the web or to mail, and nothing fetches (an image is a link to itself), so no answer can send anything anywhere.
 */
import { html, nothing, type TemplateResult } from 'lit';
import { Lexer, type MarkedToken, type Token, type Tokens } from 'marked';

type Rendered = TemplateResult | string | typeof nothing | Rendered[];

const ENTITIES: Record<string, string> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'" };
/** marked escapes the text of some tokens for use in HTML; lit escapes by itself. */
const plain = (text: string) => text.replace(/&(?:amp|lt|gt|quot|#39);/g, (entity) => ENTITIES[entity]);

/** The address, if it may be followed. */
function safe(href: string): string | null {
  const address = plain(href);
  return /^(https?:\/\/|mailto:)/i.test(address) && URL.canParse(address) ? address : null;
}

function link(href: string, content: Rendered): Rendered {
  const address = safe(href);
  return address === null ? content : html`<a href=${address} target="_blank" rel="noopener noreferrer">${content}</a>`;
}

function heading(depth: number, content: Rendered): Rendered {
  // Below the page's own headings, and never deeper than the elements go.
  if (depth === 1) return html`<h3>${content}</h3>`;
  if (depth === 2) return html`<h4>${content}</h4>`;
  return html`<h5>${content}</h5>`;
}

function list({ ordered, start, items }: Tokens.List): Rendered {
  const entries = items.map(({ tokens }) => html`<li>${tokens.map(renderToken)}</li>`);
  return ordered ? html`<ol start=${start || 1}>${entries}</ol>` : html`<ul>${entries}</ul>`;
}

function table({ header, rows }: Tokens.Table): Rendered {
  const cells = (row: Tokens.TableCell[]) => row.map(({ tokens }) => html`<td>${tokens.map(renderToken)}</td>`);
  return html`<table>
    <thead><tr>${header.map(({ tokens }) => html`<th>${tokens.map(renderToken)}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${cells(row)}</tr>`)}</tbody>
  </table>`;
}

/** One block or piece of a line. */
export function renderToken(anyToken: Token): Rendered {
  const token = anyToken as MarkedToken;
  switch (token.type) {
    case 'space':
    case 'def':
      return nothing;
    case 'paragraph':
      return html`<p>${token.tokens.map(renderToken)}</p>`;
    case 'heading':
      return heading(token.depth, token.tokens.map(renderToken));
    case 'list':
      return list(token);
    case 'code':
      return html`<pre tabindex="0"><code>${token.text}</code></pre>`;
    case 'blockquote':
      return html`<blockquote>${token.tokens.map(renderToken)}</blockquote>`;
    case 'table':
      return table(token);
    case 'hr':
      return html`<hr />`;
    case 'br':
      return html`<br />`;
    case 'strong':
      return html`<strong>${token.tokens.map(renderToken)}</strong>`;
    case 'em':
      return html`<em>${token.tokens.map(renderToken)}</em>`;
    case 'del':
      return html`<del>${token.tokens.map(renderToken)}</del>`;
    case 'codespan':
      return html`<code>${plain(token.text)}</code>`;
    case 'link':
      return link(token.href, token.tokens.map(renderToken));
    case 'image':
      return link(token.href, token.text || token.href);
    case 'text':
      return token.tokens ? token.tokens.map(renderToken) : plain(token.text);
    case 'checkbox':
      return token.checked ? '☑ ' : '☐ ';
    case 'escape':
      return plain(token.text);
    default:
      // HTML, and whatever marked may learn: as it was written
      return anyToken.raw;
  }
}

/** One growing text: finished blocks are read and rendered once, only the last is read again as text arrives. */
export class StreamingMarkdown {
  #text = '';
  /** how much of #text the finished blocks cover */
  #done = 0;
  #finished: Rendered[] = [];

  /**
   * @param text all of it so far; when it does not continue the last one, everything starts over
   * @returns what to show, by block; a finished block is the same object every time
   */
  update(text: string): Rendered[] {
    if (!text.startsWith(this.#text)) {
      this.#done = 0;
      this.#finished = [];
    }
    this.#text = text;
    const tokens = Lexer.lex(text.slice(this.#done));
    // A block may go on after a blank line (a list does): it is finished only when another one follows. A definition
    // changes how other blocks read: then all of it stays open.
    const last = tokens.findLastIndex(({ type }) => type !== 'space');
    const open = tokens.some(({ type }) => type === 'def') ? 0 : Math.max(0, last);
    let index = 0;
    for (; index < open; index++) {
      const { raw } = tokens[index];
      // The lexer normalises line ends and tabs; where it did, what it read no longer counts in our characters.
      if (!text.startsWith(raw, this.#done)) break;
      this.#done += raw.length;
      this.#finished.push(renderToken(tokens[index]));
    }
    return [...this.#finished, ...tokens.slice(index).map(renderToken)];
  }
}

/** A whole text. */
export const renderMarkdown = (text: string): Rendered[] => Lexer.lex(text).map(renderToken);
