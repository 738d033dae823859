/**
 * What a model thinks before it answers, told apart from the answer while both come. Only the answer's beginning
 * counts: marks that come later are the answer's own text. Nothing is lost: the pieces together are what went in.
 */
import type { ToolCallPart } from '../protocol';
import { openLength } from './stop-strings';

/** Around a part of an answer. */
export interface Marks {
  open: string;
  close: string;
}

/** `mark`: the marks themselves, and the white space beside them. */
export interface Piece {
  type: 'reasoning' | 'text' | 'mark' | 'tool-call';
  /** what it says; of a call, JSON of its arguments */
  text: string;
  /** what the model wrote, where that is not `text` */
  raw?: string;
  /** the call that it is of */
  call?: ToolCallPart;
}

export interface ReasoningSplitter {
  /** what is certain now */
  push(text: string): Piece[];
  /** what was held back, at the end of an answer */
  end(): Piece[];
  /** whether the answer's own text has begun, so that marks mean nothing any more */
  readonly answering: boolean;
}

/**
 * @param begun the prompt has opened it already
 * @param ends texts that end what is thought, too, and are no part of it: models forget the closing mark
 */
export function createReasoningSplitter(
  { open, close }: Marks,
  begun: boolean,
  ends: readonly string[] = [],
): ReasoningSplitter {
  // before: nothing but white space came; inside; after: white space after the closing mark; answer
  let place: 'before' | 'inside' | 'after' | 'answer' = begun ? 'inside' : 'before';
  let held = '';
  /** something was thought already: white space that follows may stand between words */
  let thought = false;
  /** a mark that the prompt has opened may be repeated by the model */
  let opening = true;

  const closers = [close, ...ends];

  /** Takes what is certain from what is held. @returns whether there is more to take */
  const take = (out: Piece[], last: boolean): boolean => {
    const give = (type: Piece['type'], length: number) => {
      if (length) out.push({ type, text: held.slice(0, length) });
      held = held.slice(length);
    };
    const blank = held.length - held.trimStart().length;
    const words = held.slice(blank);
    if (place === 'answer') give('text', held.length);
    else if (place === 'after') {
      if (!words) return false;
      // a line that is indented keeps its blanks
      give('mark', held.slice(0, blank).lastIndexOf('\n') + 1 || blank);
      place = 'answer';
    } else if (opening) {
      const opens = words.startsWith(open);
      if (!opens && !last && open.startsWith(words)) return false;
      if (opens) give('mark', blank + open.length);
      if (opens) place = 'inside';
      else if (place === 'before') place = 'answer';
      opening = false;
    } else {
      const places = closers.map((mark) => held.indexOf(mark)).filter((at) => at >= 0);
      const at = places.length > 0 ? Math.min(...places) : -1;
      const end = at < 0 ? held.length - (last ? 0 : openLength(held, closers)) : at;
      const first = thought ? 0 : Math.min(blank, end);
      const words = held.slice(first, end).trimEnd().length;
      give('mark', first);
      give('reasoning', words);
      thought ||= words > 0;
      if (at < 0) return false;
      give('mark', at - first - words + (held.startsWith(close, at - first - words) ? close.length : 0));
      place = 'after';
    }
    return held !== '';
  };
  const pieces = (last: boolean): Piece[] => {
    const out: Piece[] = [];
    while (held && take(out, last));
    return out;
  };

  return {
    push(text) {
      held += text;
      return pieces(false);
    },
    end() {
      const out = pieces(true);
      // white space at the end of what was cut off
      if (held) out.push({ type: place === 'after' ? 'mark' : 'reasoning', text: held });
      held = '';
      return out;
    },
    get answering() {
      return place === 'answer';
    },
  };
}
