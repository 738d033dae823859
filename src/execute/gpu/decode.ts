/**
 * The draws of one request on the GPU, and the passes between them. A drawn id stays in a GPU buffer and feeds the next
 * pass; steps are encoded ahead (steps-ahead.ts), and ids come back late, several at once. When the sampler draws an id
 * that ends the answer it sets the number of tokens of the next pass to 0, and the steps behind it do nothing: their
 * kernels read that and leave. (An indirect dispatch would need no word of this in a kernel, but browsers put a
 * dispatch of their own before each, which checks its numbers: Dawn's ComputePassEncoder.cpp,
 * TransformIndirectDispatchBuffer. That is twice the dispatches for each token of an answer, to save some after its
 * last.) A mask, or a rule of a single step, has to know each id: then a pass alone runs ahead. A draft makes one pass
 * of several tokens, whose rows are drawn from for as long as it comes true.
 */
import { throwIfAborted } from '../../errors';
import type { Gpu } from '../../gpu/device';
import { readMapped } from '../../gpu/readback';
import { ID_READBACKS, ID_RING, idReadback, LOGPROB_WORDS, LOGPROBS, STOP_WORDS } from '../../memory/gpu-scratch';
import { type Logprobs, nextDraft, type SampleOptions } from '../sampler/options';
import type { PlanBuffers } from './buffers';
import type { GpuKvCache } from './kv-cache';
import { beginOf } from './op';
import { beginPass, takeRow } from './passes';
import { type Draws, logprobsIn } from './sampler';
import { idsAtOnce, Pace, Undecided } from './steps-ahead';
import type { Submitter, Work } from './submitter';

/** What all requests have in common. */
interface Parts {
  gpu: Gpu;
  buffers: PlanBuffers;
  submitter: Submitter;
  /** the most tokens of a pass: a sliding ring has room for so many beside its window */
  chunk: number;
  vocab: number;
}

/** One request. */
interface Asked {
  cache: GpuKvCache;
  passes: NonNullable<GpuKvCache['passes']>;
  draws: Draws;
  /** position of the first id */
  start: number;
  count: number;
  sample: SampleOptions;
}

export class Decoding {
  readonly #parts: Parts;
  readonly #pace: Pace;

  /** @param ahead for tests: steps that are encoded ahead, where it is not their time that decides */
  constructor(parts: Parts, ahead?: number) {
    this.#parts = parts;
    this.#pace = new Pace(ahead);
  }

  /** As Executor.decode(), where the logits of the first draw are there. */
  async *run(asked: Asked, signal?: AbortSignal): AsyncGenerator<number> {
    const { count, sample, draws } = asked;
    const steps = new Steps(this.#parts, asked, this.#pace);
    const ends = new Set(sample.stopIds);
    const { undecided } = steps;
    let began = 0;
    try {
      while (undecided.first < count) {
        throwIfAborted(signal);
        await steps.ahead();
        const ids = await steps.next();
        const now = performance.now();
        if (undecided.first > 0) this.#pace.add(ids.length, now - began);
        began = now;
        for (const id of ids) {
          throwIfAborted(signal);
          undecided.first++;
          if (ends.has(id)) steps.ended(id);
          draws.push(id);
          const told = steps.told.shift();
          if (told) sample.onLogprobs?.(told);
          yield id;
          if (ends.has(id)) return;
        }
      }
    } finally {
      await steps.leave();
    }
  }
}

/** The steps of one request: a pass, but for the first, whose logits are there, and a draw. */
class Steps {
  /** draws */
  readonly undecided: Undecided;
  readonly #parts: Parts;
  readonly #asked: Asked;
  readonly #pace: Pace;
  readonly #pending: Promise<number[]>[] = [];
  /** of ids that are back, where the request asks for it */
  readonly told: Logprobs[] = [];
  #reads = 0;
  /** pass n makes the logits of draw n; the prompt's are there */
  #passed = 1;
  /** the newest position of a pass of one id */
  #written = -1;
  /** the id that the caller had last, and those of the newest pass behind its first, until something else is drawn */
  #last = -1;
  #drafted: number[] = [];
  #row = 0;

  constructor(parts: Parts, asked: Asked, pace: Pace) {
    this.#parts = parts;
    this.#asked = asked;
    this.#pace = pace;
    this.undecided = new Undecided(parts.chunk - 1);
  }

  /** Encodes and submits what the next id needs, and what may come after it. */
  async ahead(): Promise<void> {
    const { draws, sample, count } = this.#asked;
    const { undecided } = this;
    const depth = undecided.within(this.#pace.depth(Boolean(sample.watched || sample.draft)));
    if (sample.draft && this.#passed === undecided.encoded && this.#pending.length === 0) this.#draft();
    if (draws.due(undecided.encoded)) {
      // It has to know the ids that are on their way.
      if (this.#pending.length > 0) return;
      // The mask is made while the pass runs.
      if (this.#passed === undecided.encoded) this.#parts.submitter.run([this.#pass()]);
      await draws.prepare(undecided.encoded);
      this.#draw(1);
      if (undecided.room(depth) > 0 && undecided.encoded < count && !sample.draft)
        this.#parts.submitter.run([this.#pass()]);
      return;
    }
    draws.release();
    if (sample.draft && (this.#passed > undecided.encoded || this.#pending.length > 0)) {
      // The row that is there, or an id that is on its way: then there is something to ask for again.
      if (this.#pending.length === 0) this.#draw(1);
    } else {
      while (undecided.encoded < count && this.#pending.length < ID_READBACKS) {
        // what is told of an id has its room beside it
        const most = sample.logprobs === undefined ? idsAtOnce(depth, undecided.encoded) : 1;
        let ids = Math.min(most, count - undecided.encoded);
        while (ids > 0 && draws.due(undecided.encoded + ids - 1)) ids--;
        if (ids === 0 || ids > undecided.room(depth)) break;
        this.#draw(ids);
      }
    }
  }

  /** The ids that come next. */
  async next(): Promise<number[]> {
    const ids = await (this.#pending.shift() as Promise<number[]>);
    this.#parts.gpu.health.check();
    this.#last = ids[ids.length - 1];
    return ids;
  }

  /** The caller has an id that ends the answer: where the GPU knew it, no later pass wrote anything. */
  ended(id: number): void {
    const { start, sample } = this.#asked;
    const known = sample.stopIds?.slice(0, STOP_WORDS).includes(id);
    if (known) this.#written = Math.min(this.#written, start + this.undecided.first - 2);
  }

  /** Waits for what is encoded and says in the conversation's rings what it wrote. */
  async leave(): Promise<void> {
    const { cache, start } = this.#asked;
    await Promise.allSettled(this.#pending);
    if (this.#written >= start) cache.held.write(start, this.#written);
  }

  /** The pass of the id that was drawn last. */
  #pass(): Work {
    const { cache, passes, start } = this.#asked;
    const last = start + this.#passed++ - 1;
    this.#written = last;
    return [passes.decode, { tokens: 1, last, slots: cache.held.slots }];
  }

  /** Encodes and submits so many draws, each with its pass where there is none; their ids are on their way back. */
  #draw(count: number): void {
    const { gpu, buffers } = this.#parts;
    const { logprobs } = this.#asked.sample;
    const work: Work[] = [];
    const first = this.undecided.encoded;
    for (; this.undecided.encoded < first + count; this.undecided.encoded++) {
      if (this.#passed === this.undecided.encoded) work.push(this.#pass());
      work.push([this.#asked.draws.dispatches, { tokens: 1, last: 0, slots: [] }]);
    }
    const readback = buffers.get(idReadback(this.#reads++));
    this.#parts.submitter.run(work, (encoder) => {
      const at = first % ID_RING;
      const whole = Math.min(count, ID_RING - at);
      encoder.copyBufferToBuffer(buffers.get('sampled'), at * 4, readback, 0, whole * 4);
      if (whole < count)
        encoder.copyBufferToBuffer(buffers.get('sampled'), 0, readback, whole * 4, (count - whole) * 4);
      if (logprobs !== undefined)
        encoder.copyBufferToBuffer(buffers.get(LOGPROBS), at * LOGPROB_WORDS * 4, readback, 4, LOGPROB_WORDS * 4);
    });
    const words = count + (logprobs === undefined ? 0 : LOGPROB_WORDS);
    const back = readMapped(gpu.device, readback, words * 4).then((bytes) => {
      const all = new Uint32Array(bytes);
      if (logprobs !== undefined) this.told.push(logprobsIn(all[0], all.subarray(1), logprobs));
      return [...all.subarray(0, count)];
    });
    this.#pending.push(back);
  }

  /** The row of the last draft that came true, or a pass of another draft. */
  #draft(): void {
    const { cache, passes, sample, start, count } = this.#asked;
    const { chunk, vocab } = this.#parts;
    const { first } = this.undecided;
    if (this.#drafted[0] === this.#last) {
      this.#drafted.shift();
      this.#takeRow(++this.#row);
      return;
    }
    this.#drafted = nextDraft(sample, Math.min(chunk - 1, count - first - 1), vocab);
    if (this.#drafted.length === 0) return;
    const ids = Uint32Array.of(this.#last, ...this.#drafted);
    const pass = beginPass(this.#parts.gpu.device, this.#parts.buffers, cache, start + first - 1, ids);
    this.#parts.submitter.run([[passes.prefill.slice(0, beginOf(passes.prefill, 'head')), pass]]);
    this.#row = 0;
    this.#takeRow(0);
  }

  /** The logits of a row of the last pass of several ids. */
  #takeRow(row: number): void {
    const { prefill } = this.#asked.passes;
    takeRow(this.#parts.gpu.device, this.#parts.buffers, row);
    this.#parts.submitter.run([[prefill.slice(beginOf(prefill, 'head')), { tokens: row + 1, last: 0, slots: [] }]]);
    this.#passed++;
  }
}
