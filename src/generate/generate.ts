/** The loop: prefill what the cache lacks, decode, watch for the end. Everything else is a thin user of it. */
import { asNibbleError } from '../errors';
import type { Executor } from '../execute/executor';
import type { FinishReason, GenerateResult, TokenMessage } from '../protocol';
import type { Conversation } from './conversations';
import type { EffectiveOptions } from './sampling-options';

/** Text as it may be shown: whole characters, and nothing that may yet turn out to be a stop string. */
export interface TextStream {
  /** `stopped`: a stop string is complete, and `text` ends before it */
  push(id: number): { text: string; stopped: boolean };
  /** what was held back, when the answer ends otherwise */
  end(): string;
}

export interface Turn {
  ids: readonly number[];
  /** the beginning of the answer, where that is known already; see GenerateRequest */
  made: readonly number[];
  /** how many of `ids` and `made` its cache holds; see reusePrefix() */
  reused: number;
  options: EffectiveOptions;
  stopIds: ReadonlySet<number>;
  /** null without a tokenizer: ids only */
  text: TextStream | null;
  /** when the request arrived, ms of performance.now() */
  startedAt: number;
  signal?: AbortSignal;
}

export type Generated = Omit<GenerateResult, 'memory' | 'note'>;

/**
 * Yields each id with the text that it completes (often empty), then what was held back, with no ids. The id that ends
 * the answer is among the ids and not in the text. An abort ends the answer as `aborted`, with what there is.
 * The conversation must have been reserved for prompt + maxNewTokens - 1 positions.
 *
 * @param talk whose ids are kept true to its cache, also when this throws
 */
export async function* generate(
  executor: Executor,
  talk: Conversation,
  turn: Turn,
): AsyncGenerator<TokenMessage, Generated> {
  const { ids, made: known, reused, options, stopIds, startedAt, signal } = turn;
  const all = [...ids, ...known];
  let stream = turn.text;
  const made: number[] = [];
  let text = '';
  let finish: FinishReason = 'length';
  let firstAt = 0;
  let lastAt = 0;
  const prefillAt = performance.now();
  async function* answerIds(): AsyncGenerator<number> {
    yield* known;
    const count = options.maxNewTokens - known.length;
    if (count <= 0) return;
    talk.ids = all.slice(0, reused);
    // room for copies came with the growth for this answer
    if (reused > 0 && talk.cache.held.snapshots.count === 0) talk.cache.snapshot(reused);
    await executor.prefill(talk.cache, all.slice(reused), reused, { signal });
    talk.ids = all.slice();
    // from here the same question is answered again; an edited one goes on from here or from the turn before
    talk.cache.snapshot(all.length);
    yield* executor.decode(talk.cache, all.length, count, { ...options, firstStep: known.length }, signal);
  }
  try {
    for await (const id of answerIds()) {
      const isNew = made.length >= known.length;
      if (isNew) {
        lastAt = performance.now();
        firstAt ||= lastAt;
        // asking for this id has put the one before it into the cache
        if (made.length > known.length) talk.ids.push(made[made.length - 1]);
      }
      made.push(id);
      if (!options.ignoreEos && stopIds.has(id)) {
        finish = 'stop';
        yield { text: '', ids: [id] };
        break;
      }
      const piece = stream?.push(id) ?? { text: '', stopped: false };
      text += piece.text;
      yield { text: piece.text, ids: [id] };
      if (piece.stopped) {
        finish = 'stop';
        stream = null;
        break;
      }
      if (isNew && signal?.aborted) break;
    }
    if (signal?.aborted && finish === 'length' && made.length < options.maxNewTokens) finish = 'aborted';
  } catch (thrown) {
    const error = asNibbleError(thrown);
    if (error.code !== 'aborted') {
      talk.ids = [];
      throw error;
    }
    finish = 'aborted';
  }
  const rest = stream?.end() ?? '';
  if (rest) {
    text += rest;
    yield { text: rest, ids: [] };
  }
  const fresh = made.length - known.length;
  const seconds = (from: number, to: number) => Math.max(to - from, 1e-3) / 1000;
  return {
    ids: made,
    text,
    finish,
    options,
    stats: {
      promptTokens: ids.length,
      reusedTokens: Math.min(reused, ids.length),
      newTokens: made.length,
      ttftMs: firstAt ? firstAt - startedAt : 0,
      prefillTps: firstAt ? (all.length - reused) / seconds(prefillAt, firstAt) : 0,
      decodeTps: fresh > 1 ? (fresh - 1) / seconds(firstAt, lastAt) : 0,
    },
  };
}
