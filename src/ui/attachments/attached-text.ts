/** The form in which an attached file's text is kept, and how much of it may be. */
import { Refused } from './refused';

/**
 * Between the pages of a text: a form feed, as printers take it. So a passage's page is how many stand before it, and a
 * text that is kept needs nothing beside it.
 */
export const PAGE_BREAK = '\f';

/** Characters of one file. The sentence of words/en.ts has the same number. */
const MOST_CHARACTERS = 4e6;

/** @throws Refused where there are more characters than can be worked with */
export function checkLength(name: string, characters: number): void {
  if (characters > MOST_CHARACTERS) throw new Refused('fileTooLong', { name, characters });
}
