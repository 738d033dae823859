/** Which of many messages are in the document: those that are seen, and some on either side. */

/** Most messages that are in the document at once. */
export const MOST = 50;

/** How much is drawn beyond what is seen, on either side, as a share of it. */
const BEYOND = 1;

/** From the first message to behind the last one. */
export interface Range {
  from: number;
  to: number;
}

/** A line of prose, the space between two messages with what can be done with them, and a letter, px. */
const LINE = 26;
const SPACE = 64;
const LETTER = 8;

/** About how high a message will be in a column of `width`, px, before it was drawn. */
export function estimatedHeight(text: string, width: number): number {
  const letters = Math.max(20, width / LETTER);
  // a text of many short lines is at least so high; counting them all is not worth it
  const breaks = text.slice(0, 4000).split('\n').length;
  return SPACE + LINE * Math.max(breaks, Math.ceil(text.length / letters));
}

/**
 * @param heights of all messages, px
 * @param top where the seen part begins, px from the first message's top; Infinity: it is the end
 * @param seen height of the seen part, px
 */
export function rangeAt(heights: readonly number[], top: number, seen: number): Range {
  const total = heights.reduce((sum, height) => sum + height, 0);
  const first = Math.max(0, Math.min(top, total - seen));
  const beyond = seen * BEYOND;
  let from = 0;
  let at = 0;
  while (from < heights.length - 1 && at + heights[from] < first - beyond) at += heights[from++];
  let to = from;
  while (to < heights.length && at <= first + seen + beyond) at += heights[to++];
  if (to - from <= MOST) return { from, to };
  // small messages in a large window: as many after what is seen first as before it, but what is seen goes first
  let middle = from;
  let y = heights.slice(0, from).reduce((sum, height) => sum + height, 0);
  while (middle < to - 1 && y + heights[middle] < first + seen / 2) y += heights[middle++];
  const start = Math.max(from, Math.min(middle - Math.floor(MOST / 2), to - MOST));
  return { from: start, to: start + MOST };
}
