/** Text as it was written, in pieces, so that a long one is neither laid out nor drawn again as a whole. */
import { html, type TemplateResult } from 'lit';

/** Characters and lines that are read, drawn and laid out at once, in less than 50 ms whatever they are. */
export const PIECE = 4000;
const LINES = 200;

/** Where the piece that begins at `from` ends: after a line, if it has more than one. @param most characters */
export function endOfPiece(text: string, from: number, most = PIECE): number {
  const end = from + most;
  let line = from;
  for (let lines = 0; lines < LINES * Math.max(1, most / PIECE); lines++) {
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

/** The blocks of Unicode whose letters are written from right to left (UAX #9, DerivedBidiClass.txt). */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** What is left to right in any text: code, and addresses. */
const TECHNICAL = /`[^`]*`|\bhttps?:\S+/g;

/**
 * The direction of a text's first letter outside of code and addresses, as `dir="auto"` finds it; that one reads all of
 * the text again with each element that is added to it, until it finds a letter.
 */
export function directionOf(text: string): 'ltr' | 'rtl' {
  const [first] = /\p{L}/u.exec(text.slice(0, PIECE).replace(TECHNICAL, '')) ?? [];
  return first && RIGHT_TO_LEFT.test(first) ? 'rtl' : 'ltr';
}
