/**
 * The draws of several answers on the GPU, and the passes between them: a pass has a token of each, and reads each
 * weight once for all of them. What is an answer's own (its rings, where it is, what its sampler knows) has buffers of
 * its own; attention and the sampler run for one after the other. As in decode.ts a drawn id stays on the GPU and feeds
 * the next pass, steps are encoded ahead, and those behind the end of an answer do nothing to its rings.
 */
import { throwIfAborted } from '../../errors';
import type { Gpu } from '../../gpu/device';
import { readMapped } from '../../gpu/readback';
import type { SamplerShape } from '../../kernels/sampling';
import { forStreams } from '../../kernels/variants';
import {
  EDITS,
  ID_RING,
  LOGPROB_WORDS,
  LOGPROBS,
  logitsStride,
  STOP_WORDS,
  STREAM_LOGITS,
  STREAM_READBACKS,
  streamBuffer,
  streamBuffers,
  streamReadback,
  TOKENS,
} from '../../memory/gpu-scratch';
import type { ModelSpec } from '../../model/spec';
import { checkPosition } from '../check-prompt';
import type { Stream, Streams } from '../executor';
import type { SampleOptions } from '../sampler/options';
import type { PlanBuffers } from './buffers';
import type { GpuKvCache } from './kv-cache';
import { type LowerOptions, lower } from './lower';
import type { Bound, Op } from './op';
import { BoundBefore, bindOwn, type OwnDispatches, sharedPass, writeFrequencies } from './passes';
import { type Draws, GpuSampler, logprobsIn } from './sampler';
import { Pace, Undecided } from './steps-ahead';
import type { Submitter, Work } from './submitter';

/** What the executor lends. */
export interface TogetherParts {
  gpu: Gpu;
  buffers: PlanBuffers;
  submitter: Submitter;
  spec: ModelSpec;
  sampler: SamplerShape;
  /** the most tokens of a pass */
  chunk: number;
  /** as they are now: adapters come and go */
  lowering(): LowerOptions;
  own(cache: Stream['cache']): GpuKvCache;
  bind(ops: readonly Op[], buffer: (name: string) => GPUBuffer | GPUBufferBinding): Promise<Bound[]>;
  /** for tests: steps that are encoded ahead, where it is not their time that decides */
  ahead?: number;
}

/** One of the answers. */
interface Answer extends Omit<Stream, 'cache'> {
  cache: GpuKvCache;
  draws: Draws;
  /** its dispatches of a pass */
  own: OwnDispatches;
  /** the newest position that a pass writes */
  written: number;
}

/** Makes the buffers that so many answers need. @throws out-of-memory */
export async function openStreams(parts: TogetherParts, asked: number): Promise<Streams> {
  const most = Math.min(asked, parts.chunk);
  const wanted = streamBuffers(parts.spec, most);
  await parts.buffers.have(wanted);
  return new GpuStreams(
    parts,
    most,
    wanted.map(([name]) => name),
  );
}

class GpuStreams implements Streams {
  readonly most: number;
  readonly #parts: TogetherParts;
  readonly #names: readonly string[];
  readonly #samplers: GpuSampler[];
  readonly #pace: Pace;
  /** what is the same for all of them: adapters do not change meanwhile */
  #shared: Promise<Bound[]> | null = null;
  readonly #bound = new BoundBefore();

  constructor(parts: TogetherParts, most: number, names: readonly string[]) {
    this.#parts = parts;
    this.most = most;
    this.#names = names;
    this.#pace = new Pace(parts.ahead);
    const { gpu, buffers, spec, sampler } = parts;
    this.#samplers = Array.from({ length: most }, (_, stream) => {
      const place = { nameOf: (name: string) => this.#nameOf(name, stream), row: stream };
      const bind = (ops: readonly Op[]) => parts.bind(ops, (name) => this.#bufferOf(name, stream));
      return new GpuSampler(gpu.device, buffers, spec.vocab, sampler, bind, place);
    });
  }

  /** A stream's own buffer, where it has one of this name. */
  #nameOf(name: string, stream: number): string {
    const own = streamBuffer(name, stream);
    return OWN_WHEN_ASKED.has(name) || this.#parts.buffers.has(own) ? own : name;
  }

  #bufferOf(name: string, stream: number): GPUBuffer | GPUBufferBinding {
    const { buffers, spec } = this.#parts;
    if (name !== 'logits') return buffers.get(this.#nameOf(name, stream));
    const offset = stream * logitsStride(spec.vocab) * 4;
    return { buffer: buffers.get(STREAM_LOGITS), offset, size: spec.vocab * 4 };
  }

  async *decode(streams: readonly Stream[], signal?: AbortSignal): AsyncGenerator<readonly number[]> {
    const { gpu, buffers } = this.#parts;
    gpu.health.check();
    const lowering = this.#parts.lowering();
    const together = { ...lowering, shapes: forStreams(lowering.shapes) };
    this.#shared ??= this.#parts.bind(
      lower(together, 'together').filter(({ layer }) => layer === null),
      buffers.get,
    );
    const shared = await this.#shared;
    const answers: Answer[] = [];
    for (const [row, stream] of streams.entries()) answers.push(await this.#begin(together, stream, row));
    gpu.device.queue.writeBuffer(
      buffers.get('ids'),
      0,
      Uint32Array.from(answers, ({ last }) => last),
    );
    gpu.device.queue.writeBuffer(buffers.get('state'), 0, Uint32Array.of(0, answers.length));
    const steps = new StepsTogether(this.#parts, answers, shared, this.#pace);
    try {
      yield* steps.run(signal);
    } finally {
      await steps.leave();
    }
  }

  async #begin(lowering: LowerOptions, { cache: into, ...stream }: Stream, row: number): Promise<Answer> {
    const { gpu, buffers, spec } = this.#parts;
    const cache = this.#parts.own(into);
    checkPosition(stream.start + stream.count - 1, cache.capacity);
    const draws = await this.#samplers[row].begin(stream.start, stream.sample);
    writeFrequencies(gpu.device, spec, cache.reach, (name) => buffers.get(streamBuffer(name, row)));
    const buffer = (name: string) => cache.buffers.get(name) ?? this.#bufferOf(name, row);
    const bind = (ops: readonly Op[]) => this.#parts.bind(ops, buffer);
    const own = await this.#bound.get(cache, row, () =>
      bindOwn(lower({ ...lowering, parts: cache.parts }, 'together'), bind),
    );
    return { ...stream, cache, draws, own, written: stream.start - 2 };
  }

  close(): void {
    const { buffers } = this.#parts;
    const asked = this.#samplers.flatMap((_, stream) => [...OWN_WHEN_ASKED].map((name) => streamBuffer(name, stream)));
    buffers.release([...this.#names, ...asked]);
  }
}

/** What an answer has of its own only where its request needs it at all. */
const OWN_WHEN_ASKED: ReadonlySet<string> = new Set([TOKENS, EDITS, LOGPROBS]);

const watched = ({ sample }: { sample: SampleOptions }): boolean => Boolean(sample.watched);

/** The steps of answers, for as long as none of them ends: a pass and a draw of each. */
class StepsTogether {
  readonly #parts: TogetherParts;
  readonly #answers: readonly Answer[];
  readonly #shared: readonly Bound[];
  readonly #pace: Pace;
  readonly #undecided: Undecided;
  readonly #steps: number;
  readonly #tells: boolean;
  readonly #pending: Promise<Uint32Array<ArrayBuffer>>[] = [];
  #reads = 0;
  #passed = 0;

  constructor(parts: TogetherParts, answers: readonly Answer[], shared: readonly Bound[], pace: Pace) {
    this.#parts = parts;
    this.#answers = answers;
    this.#shared = shared;
    this.#pace = pace;
    this.#undecided = new Undecided(parts.chunk - 1);
    this.#steps = Math.min(...answers.map(({ count }) => count));
    this.#tells = answers.some(({ sample }) => sample.logprobs !== undefined);
  }

  async *run(signal?: AbortSignal): AsyncGenerator<readonly number[]> {
    let began = 0;
    const undecided = this.#undecided;
    while (undecided.first < this.#steps) {
      throwIfAborted(signal);
      await this.#ahead();
      const words = await this.#pending.shift()!;
      this.#parts.gpu.health.check();
      const now = performance.now();
      if (undecided.first > 0) this.#pace.add(1, now - began);
      began = now;
      throwIfAborted(signal);
      const ids = this.#answers.map((answer, row) => this.#take(answer, row, words));
      undecided.first++;
      yield ids;
      if (this.#answers.some(({ sample }, row) => sample.stopIds?.includes(ids[row]))) return;
    }
  }

  /** An answer's id of a step. */
  #take({ sample, draws, start, ...answer }: Answer, row: number, words: Uint32Array<ArrayBuffer>): number {
    const id = words[row];
    draws.push(id);
    const { logprobs } = sample;
    if (logprobs !== undefined) {
      const told = this.#answers.length + row * LOGPROB_WORDS;
      sample.onLogprobs?.(logprobsIn(id, words.subarray(told, told + LOGPROB_WORDS), logprobs));
    }
    // where the GPU knew that it ends, no later pass wrote anything
    if (sample.stopIds?.slice(0, STOP_WORDS).includes(id))
      this.#answers[row].written = Math.min(answer.written, start - 1 + this.#undecided.first);
    return id;
  }

  /** Encodes and submits what the next ids need, and what may come after them. */
  async #ahead(): Promise<void> {
    const answers = this.#answers;
    const undecided = this.#undecided;
    const depth = Math.min(STREAM_READBACKS - 1, this.#pace.depth(answers.some(watched)));
    while (undecided.encoded < this.#steps && undecided.room(depth) > 0) {
      const draw = undecided.encoded;
      const due = answers.filter(({ draws }) => draws.due(draw));
      if (due.length > 0) {
        // It has to know the ids that are on their way.
        if (this.#pending.length > 0) return;
        // The masks are made while the pass runs.
        if (this.#passed === draw) this.#parts.submitter.run(this.#pass());
        for (const { draws } of due) await draws.prepare(draw);
      }
      for (const answer of answers) if (!due.includes(answer)) answer.draws.release();
      this.#draw();
      if (due.length > 0) {
        if (undecided.room(depth) > 0 && undecided.encoded < this.#steps) this.#parts.submitter.run(this.#pass());
        return;
      }
    }
  }

  /** The pass of the ids that were drawn last. */
  #pass(): Work[] {
    const ahead = this.#passed++;
    const conversations = this.#answers.map(({ start, cache, own }) => {
      const last = start - 1 + ahead;
      return { own, pass: { tokens: 1, last, slots: cache.held.slots } };
    });
    for (const answer of this.#answers) answer.written = answer.start - 1 + ahead;
    return sharedPass(this.#shared, { tokens: this.#answers.length, last: 0, slots: [] }, conversations);
  }

  /** Encodes and submits a draw of each, with its pass where there is none; their ids are on their way back. */
  #draw(): void {
    const { gpu, buffers } = this.#parts;
    const at = this.#undecided.encoded % ID_RING;
    const work = this.#passed === this.#undecided.encoded ? this.#pass() : [];
    this.#undecided.encoded++;
    for (const { draws } of this.#answers) work.push([draws.dispatches, { tokens: 1, last: 0, slots: [] }]);
    const readback = buffers.get(streamReadback(this.#reads++));
    const count = this.#answers.length;
    this.#parts.submitter.run(work, (encoder) => {
      for (const [row, { sample }] of this.#answers.entries()) {
        encoder.copyBufferToBuffer(buffers.get(streamBuffer('sampled', row)), at * 4, readback, row * 4, 4);
        if (sample.logprobs === undefined) continue;
        const [from, told] = [buffers.get(streamBuffer(LOGPROBS, row)), (count + row * LOGPROB_WORDS) * 4];
        encoder.copyBufferToBuffer(from, at * LOGPROB_WORDS * 4, readback, told, LOGPROB_WORDS * 4);
      }
    });
    const words = count * (this.#tells ? 1 + LOGPROB_WORDS : 1);
    this.#pending.push(readMapped(gpu.device, readback, words * 4).then((bytes) => new Uint32Array(bytes)));
  }

  /** Waits for what is encoded and says in the conversations' rings what it wrote. */
  async leave(): Promise<void> {
    await Promise.allSettled(this.#pending);
    for (const { cache, start, written } of this.#answers)
      if (written >= start - 1) cache.held.write(start - 1, written);
  }
}
