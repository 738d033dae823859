/**
 * Text that comes in pieces, for readers that are generators: where one needs more than has come, it yields, and goes
 * on when there is more. So what is read cannot depend on where the pieces were cut.
 */
import { openLength } from '../stop-strings';

/** A reader: it yields where it waits for more text. */
export type Reading<T = void> = Generator<void, T>;

const BLANK = /\s/;

export class Incoming {
  /** what has come and is not dropped yet */
  text = '';
  /** the next character to read */
  at = 0;
  /** nothing more will come */
  ended = false;

  /** @returns whether there are so many characters; false only at the end */
  *has(count: number): Reading<boolean> {
    while (this.text.length - this.at < count && !this.ended) yield;
    return this.text.length - this.at >= count;
  }

  /** The next character, which is not taken; '' at the end. */
  *peek(): Reading<string> {
    yield* this.has(1);
    return this.text[this.at] ?? '';
  }

  /** The next character; '' at the end. */
  *next(): Reading<string> {
    const character = yield* this.peek();
    this.at += character.length;
    return character;
  }

  /** Takes what a sticky expression finds here, of what has come. */
  run(expression: RegExp): string {
    expression.lastIndex = this.at;
    const found = expression.exec(this.text)?.[0] ?? '';
    this.at += found.length;
    return found;
  }

  /** Takes white space, and what else is in `more`. */
  *blank(more = ''): Reading {
    for (;;) {
      const character = yield* this.peek();
      if (!character || !(BLANK.test(character) || more.includes(character))) return;
      this.at++;
    }
  }

  /** Which of these texts comes next, the longest of several; it is not taken. null: none of them. */
  *comes(texts: readonly string[]): Reading<string | null> {
    const sorted = texts.filter(Boolean).sort((a, b) => b.length - a.length);
    for (;;) {
      const here = this.text.slice(this.at, this.at + (sorted[0]?.length ?? 0));
      const found = sorted.find((text) => here.startsWith(text));
      const open = sorted.find((text) => text.length > here.length && text.startsWith(here));
      if (!open || this.ended || (found && found.length > open.length)) return found ?? null;
      yield;
    }
  }

  /** Takes one of these texts where it comes next. @returns which; null: none of them */
  *take(texts: readonly string[]): Reading<string | null> {
    const found = yield* this.comes(texts);
    this.at += found?.length ?? 0;
    return found;
  }

  /**
   * Reads up to the first of these texts, which is not taken.
   * @param told hears what is read, as soon as it is certain; `this.at` is behind it then
   * @param most characters, after which it is given up
   * @returns which one came; null: the end did, or too much
   */
  *until(
    texts: readonly string[],
    told: (text: string) => void,
    most = Number.POSITIVE_INFINITY,
  ): Reading<string | null> {
    let read = 0;
    const tell = (length: number) => {
      const said = this.text.slice(this.at, this.at + length);
      this.at += length;
      read += length;
      if (said) told(said);
    };
    for (;;) {
      let [first, which] = [Number.POSITIVE_INFINITY, ''];
      for (const text of texts) {
        const at = this.text.indexOf(text, this.at);
        if (at >= 0 && (at < first || (at === first && text.length > which.length))) [first, which] = [at, text];
      }
      const rest = this.text.length - this.at;
      // a mark that came may be the beginning of a longer one, or stand behind the beginning of another
      const open = this.ended ? 0 : openLength(this.text.slice(this.at), texts);
      if (which && (open === 0 || this.text.length - open > first)) {
        tell(first - this.at);
        return which;
      }
      tell(Math.min(rest - open, first - this.at));
      if (read > most || (this.ended && this.at === this.text.length)) return null;
      yield;
    }
  }

  /** Forgets what was read before `at` - `keep`. */
  drop(keep: number): void {
    this.text = this.text.slice(this.at - keep);
    this.at = keep;
  }
}
