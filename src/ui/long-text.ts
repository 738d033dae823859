/** Text as it was written, in pieces, so that a long one is neither laid out nor drawn again as a whole. */
import { html, type TemplateResult } from 'lit';

/** Characters and lines that are read, drawn and laid out at once, in less than 50 ms whatever they are. */
export const PIECE = 4000;
const LINES = 200;

/** Where the piece that begins at `from` ends: after a line, if it has more than one. @param most characters */
export function endOfPiece(text: string, from: number, most = PIECE): number {
  const end = from + most;
  let line = from;
  for (let lines = 0; lines < LINES * (most / PIECE); lines++) {
    const next = text.indexOf('\n', line) + 1;
    if (next === 0 || next > end) {
      if (text.length <= end) return text.length;
      if (line > from) return line;
      // not between the halves of a character
      return /[\ud800-\udbff]/.test(text[end - 1]) ? end - 1 : end;
    }
    line = next;
  }
  return line;
}

/** Pieces that stay as they are while the text grows. The browser passes over those that are out of sight. */
export function longText(text: string): string | TemplateResult[] {
  if (endOfPiece(text, 0) === text.length) return text;
  const pieces: TemplateResult[] = [];
  for (let from = 0; from < text.length; ) {
    const end = endOfPiece(text, from);
    // the line ends with the element
    pieces.push(html`<div class="piece">${text.slice(from, end).replace(/\n$/, '')}</div>`);
    from = end;
  }
  return pieces;
}
