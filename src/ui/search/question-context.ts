/**
 * What a model reads of attached files before a question: all of them where there is room, else the passages that fit
 * the question.
 */
import { PAGE_BREAK } from '../attachments/attached-text';
import type { Attached, UsedPassage } from '../conversation/thread';
import { findPassages } from './find-passages';

/** What goes with a question. */
export interface QuestionContext {
  readonly context: string;
  /** the files, with the passages of those that are not sent as a whole */
  readonly attached: readonly Attached[];
}

export interface ContextOptions {
  /** tokens that files may take */
  readonly room: number;
  /** tokens of a text */
  count(text: string): Promise<number>;
  /** files of earlier questions that were not sent as a whole: what fits this question is sent of them, too */
  readonly earlier?: readonly Attached[];
}

/** Of a file's heading, in tokens. */
const HEADING = 24;
/** Characters from which the tokens of a character are reckoned for all passages of a text. */
const SAMPLE = 4000;

const pageOf = (text: string, at: number): number | null =>
  text.includes(PAGE_BREAK) ? text.slice(0, at).split(PAGE_BREAK).length : null;

const whole = ({ name, text }: Attached) => `File "${name}":\n${text.replaceAll(PAGE_BREAK, '\n\n').trim()}`;

const heading = ({ page }: UsedPassage) => (page === null ? '[…]' : `[page ${page}]`);
const passages = (name: string, used: readonly UsedPassage[]) =>
  [
    `Passages of "${name}":`,
    ...used.map((each) => `${heading(each)}\n${each.text.replaceAll(PAGE_BREAK, '\n').trim()}`),
  ].join('\n');

/** Files of earlier questions, each once, without what of them is in the conversation already. */
export function earlierFiles(attached: readonly Attached[]): { files: Attached[]; known: string[] } {
  const files = new Map<string, Attached>();
  const known: string[] = [];
  for (const file of attached) {
    for (const { text } of file.used ?? []) known.push(text);
    // one that an earlier question had is named again without its text
    if (file.used && file.text !== '') files.set(file.name, file);
  }
  return { files: [...files.values()], known };
}

/** @returns null where there is no file for this question; a file without room has no passages (`used: []`) */
export async function questionContext(
  question: string,
  attached: readonly Attached[],
  { room, count, earlier = [] }: ContextOptions,
): Promise<QuestionContext | null> {
  const tokens = await Promise.all(attached.map(async (file) => (await count(file.text)) + HEADING));
  const all = tokens.reduce((sum, each) => sum + each, 0);
  const { files, known } = earlierFiles(earlier);
  const fits = all <= room;
  // where not all is sent, what is short is: it is what the question is about, as a table is
  const short = (index: number) => fits || tokens[index] <= room / (2 * attached.length);
  const sent = attached.filter((_, index) => short(index));
  const searched = [...attached.filter((_, index) => !short(index)), ...files];
  let left = room - tokens.filter((_, index) => short(index)).reduce((sum, each) => sum + each, 0);
  left -= HEADING * searched.length;
  const found = searched.length === 0 ? [] : await search(searched, question, left, count, known);
  const parts = [...sent.map(whole), ...found.flatMap(({ name, used }) => (used?.length ? passages(name, used) : []))];
  if (parts.length === 0 && attached.length === 0) return null;
  const shown = attached.map(
    (file) => found.find(({ name, text }) => name === file.name && text === file.text) ?? file,
  );
  const again = found.filter(
    ({ name, used }) =>
      used?.length && files.some((file) => file.name === name) && !attached.some((file) => file.name === name),
  );
  return { context: parts.join('\n\n'), attached: [...shown, ...again.map((file) => ({ ...file, text: '' }))] };
}

/** The files with the passages that fit. */
async function search(
  files: readonly Attached[],
  question: string,
  room: number,
  count: ContextOptions['count'],
  known: readonly string[],
): Promise<Attached[]> {
  const texts = files.map(({ text }) => text);
  // by a sample: to count each passage of a book with the model would take longer than to answer
  const samples = await Promise.all(texts.map((text) => count(text.slice(0, SAMPLE))));
  const perCharacter = Math.max(...texts.map((text, i) => samples[i] / Math.max(1, Math.min(SAMPLE, text.length))));
  const size = (passage: string) => Math.ceil(passage.length * perCharacter) + 6;
  const found = await findPassages(texts, question, room, size, known);
  return files.map((file, index) => ({
    ...file,
    used: found
      .filter(({ of }) => of === index)
      .map(({ start, end }) => ({ text: file.text.slice(start, end), page: pageOf(file.text, (start + end) / 2) })),
  }));
}
