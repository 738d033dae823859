/**
 * Markdown that grows: finished blocks are rendered once and kept, only the last one is read again as text arrives.
 * What a model writes is not trusted: a short list of tags, links to the web and mail only, and nothing that fetches
 * (no images), so that no answer can send anything anywhere.
 */
import createDOMPurify, { type Config } from 'dompurify';
import { Marked, type Token } from 'marked';

const purify = createDOMPurify(window);
const marked = new Marked({ gfm: true });

const ALLOWED: Config = {
  ALLOWED_TAGS: [
    ...['p', 'br', 'hr', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'strong', 'em', 'del', 'code', 'pre', 'blockquote'],
    ...['ul', 'ol', 'li', 'a', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'sub', 'sup'],
  ],
  ALLOWED_ATTR: ['href', 'title', 'start', 'align'],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

purify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName === 'A') {
    node.setAttribute('target', '_blank');
    node.setAttribute('rel', 'noopener noreferrer');
  }
});

const render = (tokens: Token[]) => purify.sanitize(marked.parser(tokens), ALLOWED);

/** Safe HTML of a whole text. */
export const renderMarkdown = (text: string): string => render(marked.lexer(text));

/** One growing text. `update` takes all of it so far, and gives safe HTML by block. */
export class StreamingMarkdown {
  #text = '';
  /** how much of #text the finished blocks cover */
  #done = 0;
  #finished: string[] = [];

  update(text: string): string[] {
    if (!text.startsWith(this.#text.slice(0, this.#done))) {
      this.#done = 0;
      this.#finished = [];
    }
    this.#text = text;
    const tokens = marked.lexer(text.slice(this.#done));
    // A block may go on after a blank line (a list does), so it is finished only when another kind of block follows.
    const last = tokens.findLastIndex((token) => token.type !== 'space');
    // A definition changes how other blocks read: then all of it stays open.
    if (!tokens.some((token) => token.type === 'def')) {
      for (const token of tokens.slice(0, Math.max(0, last))) {
        const raw = this.#text.slice(this.#done, this.#done + token.raw.length);
        if (raw !== token.raw) break; // the lexer normalised something (tabs, CRLF): keep this part open
        this.#done += token.raw.length;
        if (token.type !== 'space') this.#finished.push(render([token]));
      }
    }
    const open = marked.lexer(text.slice(this.#done));
    return open.length === 0 ? [...this.#finished] : [...this.#finished, render(open)];
  }
}
