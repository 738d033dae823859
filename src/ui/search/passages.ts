/** Cuts a long text into passages that can be searched for and sent one by one: pure. */
import { estimateTokens } from './estimate-tokens';

/** A part of a text. */
export interface Passage {
  /** where it begins and ends, in characters */
  readonly start: number;
  readonly end: number;
}

/** Some 200 words of English, or 270 characters of Chinese. */
const TOKENS = 270;
/** Of the passage before it, so that what is said across the cut is whole in one of them. */
const OVERLAP = 60;

/** Where a text may be cut, the better places first: pages and paragraphs, lines, sentences, blanks. */
const CUTS = [/\f|\n\s*\n/g, /\n/g, /[.!?。！？…]["'”’»)]*\s*/g, /[\s，、；]/g];

/** A text's parts, in their order, of which none has more than so many tokens where it can be cut at all. */
function pieces(text: string, start: number, end: number, level: number): Passage[] {
  const part = text.slice(start, end);
  if (estimateTokens(part) <= OVERLAP || level === CUTS.length) return hardPieces(text, start, end);
  const cut: Passage[] = [];
  let from = start;
  for (const match of part.matchAll(CUTS[level])) {
    const to = start + match.index + match[0].length;
    if (to > from && to < end) {
      cut.push(...pieces(text, from, to, level + 1));
      from = to;
    }
  }
  cut.push(...pieces(text, from, end, level + 1));
  return cut;
}

/** What has no place to be cut at: by length. */
function hardPieces(text: string, start: number, end: number): Passage[] {
  const most = OVERLAP * 4;
  if (end - start <= most) return [{ start, end }];
  const cut: Passage[] = [];
  for (let from = start; from < end; ) {
    let to = Math.min(from + most, end);
    // not between the halves of a character
    if (to < end && /[\udc00-\udfff]/.test(text[to])) to++;
    cut.push({ start: from, end: to });
    from = to;
  }
  return cut;
}

/** @returns passages in their order; each begins with the end of the one before it */
export function passagesOf(text: string): Passage[] {
  const parts = pieces(text, 0, text.length, 0);
  const sizes = parts.map(({ start, end }) => estimateTokens(text.slice(start, end)));
  const passages: Passage[] = [];
  for (let first = 0; first < parts.length; ) {
    let next = first;
    for (let tokens = 0; next < parts.length && (next === first || tokens + sizes[next] <= TOKENS); next++)
      tokens += sizes[next];
    const passage = { start: parts[first].start, end: parts[next - 1].end };
    if (text.slice(passage.start, passage.end).trim() !== '') passages.push(passage);
    if (next === parts.length) break;
    // back by the overlap, but on
    let back = next;
    for (let tokens = 0; back > first + 1 && tokens + sizes[back - 1] <= OVERLAP; back--) tokens += sizes[back - 1];
    first = back;
  }
  return passages;
}
