/** The loop: prefill what the cache lacks, decode, watch for the end. Everything else is a thin user of it. */
import { asNibbleError } from '../errors';
import type { Executor } from '../execute/executor';
import type { Logprobs, SampleOptions, TokenMask } from '../execute/sampler/options';
import type { Shift } from '../memory/shift';
import type { FinishReason, GenerateResult, ParsedCall, Prefill, TokenLogprob, TokenMessage } from '../protocol';
import type { Piece } from '../text/reasoning';
import { droppedOf, seenOf, type Window } from './overflow';
import { alternativesOf, type EffectiveOptions, sampleOf } from './sampling-options';
import { reuse, type Sequence } from './sequences';
import { Speculation } from './speculation';
import { NO_TEXTS, type TokenTexts } from './token-texts';

/** Text as it may be shown: whole characters, and nothing that may yet turn out to be a stop string. */
export interface TextStream {
  /** `stopped`: a stop string is complete, and the text ends before it */
  push(id: number): { pieces: readonly Piece[]; stopped: boolean };
  /** what was held back, when the answer ends otherwise */
  end(): readonly Piece[];
  /** calls of tools, in order */
  readonly calls: readonly ParsedCall[];
}

/** What may come next in an answer, and what must: see constraint/answer.ts. */
export interface Constrained {
  /** which ids may come next; null: all. @param left ids that may still come */
  mask(left: number): TokenMask | null;
  /** ids that must come next */
  readonly next: readonly number[];
  /** how many of these ids may come one after the other */
  fits(ids: readonly number[]): number;
  /** an id has come. @throws invalid-option for one that may not */
  push(id: number): void;
  /** nothing can come any more */
  readonly complete: boolean;
}

export interface Turn {
  ids: readonly number[];
  /** the beginning of the answer, where that is known already; see GenerateRequest */
  made: readonly number[];
  /** what of the ids may be seen; null: all of them, for which there is room */
  window: Window | null;
  /** see Sequences.shift() */
  shift(shift: Shift): Promise<boolean>;
  options: EffectiveOptions;
  stopIds: ReadonlySet<number>;
  /** null: any answer will do */
  constraint?: Constrained | null;
  /** null without a tokenizer: ids only */
  text: TextStream | null;
  /** of single tokens; absent without a tokenizer */
  texts?: TokenTexts;
  /** when the request arrived, ms of performance.now() */
  startedAt: number;
  /** told when the prompt is begun, and after every chunk of it */
  onPrefill?: (prefill: Prefill) => void;
  signal?: AbortSignal;
}

export type Generated = Omit<GenerateResult, 'memory' | 'note'>;

/** Messages that bring these ids, what is told of them, and the pieces of text that they complete. */
function messages(ids: number[], logprobs: TokenLogprob[], pieces: readonly Piece[]): TokenMessage[] {
  const told = pieces.map(
    ({ type, ...piece }): TokenMessage => ({ ...piece, ids: [], ...(type !== 'text' && { type }) }),
  );
  if (ids.length && told.length === 0) told.push({ text: '', ids: [] });
  if (ids.length) told[0].ids = ids;
  if (logprobs.length) told[0].logprobs = logprobs;
  return told;
}

/** What is proposed to come next: what stands in the conversation, as far as it may come. */
function draftOf(speculation: Speculation | null, constraint: Constrained | null): SampleOptions['draft'] {
  if (!speculation || !constraint) return speculation?.propose;
  return () => {
    const proposed = speculation.propose();
    return proposed.slice(0, constraint.fits(proposed));
  };
}

/**
 * Yields each id with the text that it completes (often empty), then what was held back, with no ids. The id that ends
 * the answer is among the ids and not in the text. An abort ends the answer as `aborted`, with what there is.
 * The sequence must have been reserved for prompt + maxNewTokens - 1 positions, or for those of the window: where it
 * ends, ids are dropped and the answer goes on.
 *
 * @param sequence whose ids are kept true to its cache, also when this throws
 */
export async function* generate(
  executor: Pick<Executor, 'prefill' | 'decode'>,
  sequence: Sequence,
  turn: Turn,
): AsyncGenerator<TokenMessage, Generated> {
  const { ids, made: known, window, options, stopIds, startedAt, signal, constraint = null } = turn;
  let stream = turn.text;
  const made: number[] = [];
  const said = { text: '', reasoning: '', mark: '', 'tool-call': '' };
  let raw = '';
  let finish: FinishReason = 'length';
  let firstAt = 0;
  let lastAt = 0;
  let reused = 0;
  let prefilled = 0;
  let dropped = 0;
  const prefillAt = performance.now();
  const texts = turn.texts ?? NO_TEXTS;
  const logprobs: TokenLogprob[] = [];
  let untold = 0;
  const tell = (ids: number[], pieces: readonly Piece[]) => {
    for (const { type, text, raw: written = text } of pieces) {
      said[type] += text;
      raw += written;
    }
    const fresh = logprobs.slice(untold);
    untold = logprobs.length;
    return messages(ids, fresh, pieces);
  };
  async function* answerIds(): AsyncGenerator<number> {
    yield* known;
    let speculation: Speculation | null = null;
    // of what is not drawn no probabilities would be known
    const reads = constraint && alternativesOf(options) === null ? constraint : null;
    for (let first = true; made.length < options.maxNewTokens; first = false) {
      // what must come is read with the prompt; one is left to be drawn
      const must = [...(reads?.next ?? [])].slice(0, options.maxNewTokens - made.length - 1);
      const all = [...ids, ...made, ...must];
      const droppedBefore = dropped;
      dropped = window ? droppedOf(all.length, window) : 0;
      const keep = window?.keep ?? 0;
      const seen = seenOf(all, keep, dropped);
      const held = await reuse(sequence, all, keep, dropped, turn.shift);
      if (first) [reused, prefilled] = [held, seen.length - held];
      const onProgress = (done: number) => first && turn.onPrefill?.({ done, total: prefilled });
      onProgress(0);
      // room for copies came with the growth for this answer
      if (held > 0 && sequence.cache.held.snapshots.count === 0) sequence.cache.snapshot(held);
      await executor.prefill(sequence.cache, seen.slice(held), held, { signal, onProgress });
      sequence.ids = seen;
      // from here the same question is answered again; an edited one goes on from here or from the turn before
      if (first || dropped > droppedBefore) sequence.cache.snapshot(seen.length);
      yield* must;
      const room = window ? window.limit - seen.length + 1 : Number.POSITIVE_INFINITY;
      const count = Math.min(options.maxNewTokens - made.length, room);
      if (options.speculate === 'prompt' && (!speculation || dropped > droppedBefore))
        speculation = new Speculation(seen);
      else {
        for (const id of must) speculation?.push(id);
        speculation?.rest();
      }
      const onLogprobs = (one: Logprobs) => logprobs.push(texts.told(one));
      const sample = {
        ...sampleOf(options, { ids, made, stopIds, tokenText: texts.textOf, onLogprobs }),
        draft: draftOf(speculation, constraint),
        mask: constraint ? () => constraint.mask(options.maxNewTokens - made.length) : undefined,
      };
      for await (const id of executor.decode(sequence.cache, seen.length, count, sample, signal)) {
        speculation?.push(id);
        yield id;
        if (reads && reads.next.length > 0 && made.length + 1 < options.maxNewTokens) break;
      }
    }
  }
  try {
    for await (const id of answerIds()) {
      const isNew = made.length >= known.length;
      if (isNew) {
        lastAt = performance.now();
        firstAt ||= lastAt;
        // asking for this id has put the one before it into the cache
        if (ids.length + made.length > sequence.ids.length + dropped) sequence.ids.push(made[made.length - 1]);
      }
      made.push(id);
      if (!options.ignoreEos && stopIds.has(id)) {
        finish = 'stop';
        yield* tell([id], []);
        break;
      }
      constraint?.push(id);
      const { pieces, stopped } = stream?.push(id) ?? { pieces: [], stopped: false };
      yield* tell([id], pieces);
      if (stopped) {
        finish = 'stop';
        stream = null;
        break;
      }
      if (constraint?.complete) {
        finish = 'stop';
        break;
      }
      if (isNew && signal?.aborted) break;
    }
    if (signal?.aborted && finish === 'length' && made.length < options.maxNewTokens) finish = 'aborted';
  } catch (thrown) {
    const error = asNibbleError(thrown);
    if (error.code !== 'aborted') {
      sequence.ids = [];
      throw error;
    }
    finish = 'aborted';
  }
  yield* tell([], stream?.end() ?? []);
  const toolCalls = [...(turn.text?.calls ?? [])];
  if (finish === 'stop' && toolCalls.length > 0) finish = 'tool-calls';
  const fresh = made.length - known.length;
  const seconds = (from: number, to: number) => Math.max(to - from, 1e-3) / 1000;
  return {
    ids: made,
    text: said.text,
    reasoning: said.reasoning,
    toolCalls,
    raw,
    ...(options.logprobs !== false && { logprobs }),
    finish,
    options,
    stats: {
      promptTokens: ids.length,
      reusedTokens: Math.min(reused, ids.length),
      droppedTokens: dropped,
      newTokens: made.length,
      ttftMs: firstAt ? firstAt - startedAt : 0,
      prefillTps: firstAt ? prefilled / seconds(prefillAt, firstAt) : 0,
      decodeTps: fresh > 1 ? (fresh - 1) / seconds(firstAt, lastAt) : 0,
    },
  };
}
