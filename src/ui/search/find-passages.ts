/**
 * The passages of long texts that fit a question, by BM25 (minisearch) over the words of any language. Fetched when a
 * file is longer than there is room for.
 */
import MiniSearch from 'minisearch';
import { type Passage, passagesOf } from './passages';
import { wordsOf } from './words-of';

/** A passage of one of several texts. */
export interface Found extends Passage {
  /** which text */
  readonly of: number;
}

interface Indexed extends Found {
  readonly id: number;
  readonly text: string;
}

/**
 * A word is compared as it is, and by its first letters: so a question finds other forms of its words, and the first
 * part of a compound ("Lawinenunglück" finds "Lawine"), in every language that has endings.
 */
const STEM = 5;
const forms = (word: string) => (word.length < STEM ? word : [word, `${word.slice(0, STEM)}~`]);

/**
 * @param size tokens of a passage, by which `room` is spent
 * @param known texts whose passages are not to be found again
 * @returns as many as there is room for, the best ones, in the order of the texts; those that overlap are
 *   one. Where no word of the question is in
 *   any of them (it may ask for a summary): passages from all over them
 */
export async function findPassages(
  texts: readonly string[],
  question: string,
  room: number,
  size: (passage: string) => number,
  known: readonly string[] = [],
): Promise<Found[]> {
  const all = texts.flatMap((text, of) =>
    passagesOf(text).map((passage) => ({ ...passage, of, text: text.slice(passage.start, passage.end) })),
  );
  const passages: Indexed[] = all
    .filter(({ text }) => !known.some((each) => each.includes(text)))
    .map((passage, id) => ({ ...passage, id }));
  const index = new MiniSearch<Indexed>({
    fields: ['text'],
    tokenize: wordsOf,
    processTerm: forms,
  });
  // in pieces, between which the page draws and hears
  await index.addAllAsync(passages, { chunkSize: 50 });
  const ranked: Indexed[] = index.search(question).map(({ id }) => passages[id as number]);
  const chosen: Indexed[] = [];
  let left = room;
  for (const passage of ranked.length > 0 ? ranked : spread(passages)) {
    const tokens = size(passage.text);
    if (tokens > left) continue;
    left -= tokens;
    chosen.push(passage);
  }
  return joined(chosen.sort((a, b) => a.of - b.of || a.start - b.start));
}

/** Passages that overlap or follow each other, as one. */
function joined(passages: readonly Found[]): Found[] {
  const all: Found[] = [];
  for (const { of, start, end } of passages) {
    const last = all.at(-1);
    if (last?.of === of && start <= last.end) all[all.length - 1] = { of, start: last.start, end };
    else all.push({ of, start, end });
  }
  return all;
}

/** All of them, so that the first few are from everywhere: the first one, then halves, quarters, … */
function spread<T>(list: readonly T[]): T[] {
  const order = new Set<number>();
  for (let parts = 1; parts < list.length * 2; parts *= 2)
    for (let part = 0; part < parts; part++) order.add(Math.floor((part * list.length) / parts));
  return [...order].map((index) => list[index]);
}
