/** Ids to text that may be shown: whole characters, reasoning, calls and answer apart, up to the first stop string. */

import type { AnswerForm } from '../text/answer-forms';
import { createDetokenizer } from '../text/detokenizer';
import { createReasoningSplitter, type Piece, type ReasoningSplitter } from '../text/reasoning';
import { createStopMatcher } from '../text/stop-strings';
import type { Tokenizer } from '../text/tokenizer';
import { marksOf } from '../text/tools/call-forms';
import { type Called, type CallParser, createCallParser } from '../text/tools/call-parser';
import type { TextStream } from './generate';

const asText = (text: string): Piece[] => (text ? [{ type: 'text', text }] : []);

/** For answers that have no reasoning. */
const PLAIN: ReasoningSplitter = { push: asText, end: () => [], answering: true };
/** For answers that have no calls. */
const NO_CALLS: CallParser = { push: asText, end: () => [], calls: [] };

/** What of the tools matters to who reads calls. */
export type Callable = Omit<Called, 'form'>;

/**
 * @param stops end the answer; in what is thought before it, and in calls, they mean nothing
 * @param form how the answer is written; null: it is nothing but the answer
 * @param callable where there are tools
 */
export function createTextStream(
  tokenizer: Tokenizer,
  stops: readonly string[],
  form: (AnswerForm & { begun: boolean }) | null = null,
  callable: Callable | null = null,
): TextStream {
  const forgotten = callable ? form?.calls?.endsThought : undefined;
  const splitter = form?.reasoning ? createReasoningSplitter(form.reasoning, form.begun, forgotten) : PLAIN;
  const calls = form?.calls && callable ? createCallParser({ form: form.calls, ...callable }) : NO_CALLS;
  // a mark may be a special token, which is no text otherwise
  const idsOf = (marks: readonly string[]) =>
    new Set(marks.flatMap((mark) => tokenizer.encode(mark, { special: true, bos: false })));
  const thought = idsOf(Object.values(form?.reasoning ?? {}));
  const called = idsOf(form?.calls && callable ? marksOf(form.calls) : []);
  const shows = (id: number) => !tokenizer.isSpecial(id) || called.has(id) || (!splitter.answering && thought.has(id));
  const characters = createDetokenizer(tokenizer, shows);
  const matcher = createStopMatcher(stops);

  const apart = (pieces: readonly Piece[]): Piece[] =>
    pieces.flatMap((piece) => (piece.type === 'text' ? calls.push(piece.text) : [piece]));
  // a response in the generic form reads otherwise than it is written: what was written goes with the text it is of
  let written = '';
  let coded = false;
  const spoken = (text: string): Piece => {
    const raw = coded ? written : text;
    written = written.slice(raw.length);
    return { type: 'text', text, ...(raw !== text && { raw }) };
  };
  const upToStop = (pieces: readonly Piece[]) => {
    const out: Piece[] = [];
    for (const piece of pieces) {
      if (piece.type !== 'text') {
        out.push(piece);
        continue;
      }
      coded ||= piece.raw !== undefined;
      written += piece.raw ?? piece.text;
      const { text, stopped } = matcher.push(piece.text);
      if (text) out.push(spoken(text));
      if (stopped) return { pieces: out, stopped };
    }
    return { pieces: out, stopped: false };
  };
  return {
    push: (id) => upToStop(apart(splitter.push(characters.push([id])))),
    end() {
      const last = [...apart([...splitter.push(characters.flush()), ...splitter.end()]), ...calls.end()];
      const { pieces, stopped } = upToStop(last);
      const rest = stopped ? '' : matcher.flush();
      return rest ? [...pieces, spoken(rest)] : pieces;
    },
    get calls() {
      return calls.calls;
    },
  };
}
