/** Ids to text that may be shown: whole characters, reasoning and answer apart, up to the first stop string. */

import type { AnswerForm } from '../text/answer-forms';
import { createDetokenizer } from '../text/detokenizer';
import { createReasoningSplitter, type Piece, type ReasoningSplitter } from '../text/reasoning';
import { createStopMatcher } from '../text/stop-strings';
import type { Tokenizer } from '../text/tokenizer';
import type { TextStream } from './generate';

/** For answers that have no reasoning. */
const PLAIN: ReasoningSplitter = {
  push: (text) => (text ? [{ type: 'text', text }] : []),
  end: () => [],
  answering: true,
};

/**
 * @param stops end the answer; in what is thought before it they mean nothing
 * @param form how the answer is written; null: it is nothing but the answer
 */
export function createTextStream(
  tokenizer: Tokenizer,
  stops: readonly string[],
  form: (AnswerForm & { begun: boolean }) | null = null,
): TextStream {
  const splitter = form ? createReasoningSplitter(form.reasoning, form.begun) : PLAIN;
  // a mark may be a special token, which is no text otherwise
  const marks = Object.values(form?.reasoning ?? {}).flatMap((mark) =>
    tokenizer.encode(mark, { special: true, bos: false }),
  );
  const shows = (id: number) => !tokenizer.isSpecial(id) || (!splitter.answering && marks.includes(id));
  const characters = createDetokenizer(tokenizer, shows);
  const matcher = createStopMatcher(stops);

  const upToStop = (pieces: readonly Piece[]) => {
    const out: Piece[] = [];
    for (const piece of pieces) {
      const { text, stopped } = piece.type === 'text' ? matcher.push(piece.text) : { text: piece.text, stopped: false };
      if (text) out.push({ type: piece.type, text });
      if (stopped) return { pieces: out, stopped };
    }
    return { pieces: out, stopped: false };
  };
  return {
    push: (id) => upToStop(splitter.push(characters.push([id]))),
    end() {
      const { pieces, stopped } = upToStop([...splitter.push(characters.flush()), ...splitter.end()]);
      const rest = stopped ? '' : matcher.flush();
      return rest ? [...pieces, { type: 'text', text: rest }] : pieces;
    },
  };
}
