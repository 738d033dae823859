/**
 * Ids to text while they come. Only a short recent is ever decoded: the ids whose text is not out yet, and as many
 * before them as give a decoder its context (a sentencepiece decoder drops the space before its first token).
 */
import type { Tokenizer } from './tokenizer';

export interface Detokenizer {
  /** The text that is certain now; may be empty. */
  push(ids: readonly number[]): string;
  /** The rest at the end of an answer: an unfinished character becomes U+FFFD. */
  flush(): string;
}

const UNFINISHED = '\uFFFD';
/** A UTF-8 character lacks at most its last byte: up to three bytes wait, each perhaps an U+FFFD of its own. */
const MAX_WAITING = 3;
/** Ids in the recent before it is cut whatever it holds (only invalid bytes get this far), and after. */
const MAX_WINDOW = 32;
const CUT_WINDOW = 12;
const MAX_CONTEXT = 8;

/** @param shows which tokens are text; special ones are not, when absent */
export function createDetokenizer(tokenizer: Tokenizer, shows = (id: number) => !tokenizer.isSpecial(id)): Detokenizer {
  const decode = (ids: readonly number[]) => tokenizer.decode(ids, { skipSpecial: false });
  let recent: number[] = [];
  let emitted = 0; // characters of decode(recent) that are out

  /** How many characters at the end may still change. */
  const waiting = (text: string) => {
    let n = 0;
    while (n < MAX_WAITING && text[text.length - 1 - n] === UNFINISHED) n++;
    return n;
  };
  /**
   * Keeps the fewest last ids that decode to something without a broken character: where the next ones attach. Of ids
   * that are nothing by themselves (a space, at the start) the next would attach as to the start of the answer.
   */
  const keepContext = () => {
    for (let n = 1; n <= Math.min(recent.length, MAX_CONTEXT); n++) {
      const text = decode(recent.slice(-n));
      if (!text || text.includes(UNFINISHED)) continue;
      recent = recent.slice(-n);
      emitted = text.length;
      return;
    }
  };
  const cut = () => {
    recent = recent.slice(-CUT_WINDOW);
    const text = decode(recent);
    emitted = text.length - waiting(text);
  };

  return {
    push(ids) {
      recent.push(...ids.filter((id) => tokenizer.isToken(id) && shows(id)));
      if (!recent.length) return '';
      const text = decode(recent);
      const held = waiting(text);
      const out = text.slice(emitted, text.length - held);
      emitted = Math.max(emitted, text.length - held);
      if (!held) keepContext();
      if (recent.length > MAX_WINDOW) cut();
      return out;
    },
    flush() {
      const out = decode(recent).slice(emitted);
      recent = [];
      emitted = 0;
      return out;
    },
  };
}
