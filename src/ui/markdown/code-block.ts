/**
 * Code as a lit template: its head (code-head.ts), and its lines in pieces, so that a token changes the last piece
 * alone; the colours come piece by piece when its end is here (code-colours.ts).
 */
import { html, nothing } from 'lit';
import type { Tokens } from 'marked';
import { type Better, later } from './later';
import { endOfPiece } from './long-text';

/** Code as marked reads it. */
export interface Code extends Tokens.Code {
  /** has no end yet, or goes on in the next box; this is its first line */
  open?: string;
  /** goes on from the box before it */
  more?: boolean;
}

/** Characters of code that are laid out, and coloured, at once. */
const LINES = 2000;

/** Characters of the longest code that gets colours. */
export const MOST_COLOURED = 20_000;

const CLOSED = /(?:^|\n) {0,3}(?:`{3,}|~{3,})[ \t]*\n*$/;

/** @returns its lines, in pieces that stay as they are while it grows */
export function piecesOfCode(text: string): string[] {
  const pieces: string[] = [];
  for (let from = 0; from < text.length; ) {
    const end = endOfPiece(text, from, LINES);
    pieces.push(text.slice(from, end));
    from = end;
  }
  return pieces;
}

let colour: typeof import('./code-colours').colour | undefined;
let hasHead = false;

function fetchHead(): void {
  if (hasHead) return;
  hasHead = true;
  import('./code-head').catch(() => {
    // the next code tries again
    hasHead = false;
  });
}

const better =
  (pieces: readonly string[], language: string, isColoured: boolean): Better =>
  (show) => {
    fetchHead();
    if (!isColoured || colour) return isColoured ? colour!(pieces, language, show) : undefined;
    void import('./code-colours').then(
      (module) => {
        colour = module.colour;
        const coloured = colour(pieces, language, show);
        if (coloured) show(coloured);
      },
      () => {},
    );
    return undefined;
  };

/** Its direction is that of code, whatever the text's. */
export function codeBlock({ raw, text, lang, open, more }: Code) {
  const language = /^[^\s{]*/.exec(lang ?? '')![0];
  const pieces = piecesOfCode(text);
  const isColoured = !open && !more && language !== '' && text.length <= MOST_COLOURED && CLOSED.test(raw);
  const now = pieces.length > 1 ? pieces.map((piece) => html`<span class="lines">${piece}</span>`) : text;
  return html`<div class=${more ? 'code more' : 'code'} dir="ltr">${
    more ? nothing : html`<nibble-code-head .named=${language}></nibble-code-head>`
  }<pre tabindex="0"><code>${later(`${isColoured} ${text}`, now, better(pieces, language, isColoured))}</code></pre></div>`;
}
