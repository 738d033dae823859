/** The sampler on the GPU: what a request asks is written to its buffers, and its dispatches are bound once. */

import type { SamplerShape } from '../../kernels/sampling';
import {
  EDITS,
  LOGPROB_BUFFERS,
  LOGPROB_WORDS,
  passWords,
  REPEAT_RING,
  requestWords,
  STATE,
  STATE_WORDS,
  stopWords,
  TOKENS,
  tokenBuffers,
  tokenPlaces,
} from '../../memory/gpu-scratch';
import type { History } from '../sampler/history';
import { type Links, linksOf } from '../sampler/links';
import { checkIds, type Logprobs, maskWords, type SampleOptions, type TokenMask } from '../sampler/options';
import { StepRules } from '../sampler/step-rules';
import type { PlanBuffers } from './buffers';
import { lowerSampler } from './lower-sampler';
import type { Bound, Op } from './op';

/** The draws of one request. */
export interface Draws {
  /** the dispatches of one draw */
  readonly dispatches: readonly Bound[];
  /** whether the draw of this number, from 0, needs prepare(), and with it all ids before it */
  due(draw: number): boolean;
  /** asks what holds for this draw and writes it. @throws invalid-option for a mask that fits no vocabulary */
  prepare(draw: number): Promise<void>;
  /** nothing holds for the draws that come now, of which none is due */
  release(): void;
  /** the caller has this id */
  push(id: number): void;
}

/** Which buffers a sampler works with. */
export interface SamplerPlace {
  /** the buffer that it has where the plan says this name */
  nameOf(name: string): string;
  /** of its token in a pass of several answers */
  row: number;
}

/** Those of the only answer. */
const ALONE: SamplerPlace = { nameOf: (name) => name, row: 0 };

export class GpuSampler {
  readonly #device: GPUDevice;
  readonly #buffers: PlanBuffers;
  readonly #vocab: number;
  readonly #bind: (ops: readonly Op[]) => Promise<Bound[]>;
  readonly #shape: SamplerShape;
  readonly #place: SamplerPlace;
  /** by the links that are asked for */
  readonly #bound = new Map<string, Promise<Bound[]>>();

  /** @param bind makes the pipelines and bind groups of dispatches, with the buffers of that place */
  constructor(
    device: GPUDevice,
    buffers: PlanBuffers,
    vocab: number,
    shape: SamplerShape,
    bind: (ops: readonly Op[]) => Promise<Bound[]>,
    place: SamplerPlace = ALONE,
  ) {
    this.#device = device;
    this.#buffers = buffers;
    this.#vocab = vocab;
    this.#shape = shape;
    this.#bind = bind;
    this.#place = place;
  }

  #buffer(name: string): GPUBuffer {
    return this.#buffers.get(this.#place.nameOf(name));
  }

  /** Has those buffers made that are there once somebody needs them. */
  #have(wanted: readonly (readonly [name: string, bytes: number])[]): Promise<void> {
    return this.#buffers.have(wanted.map(([name, bytes]) => [this.#place.nameOf(name), bytes] as const));
  }

  /**
   * Writes what a request asks, for draws whose first id will have the position `start`.
   * @throws invalid-option for an id or a bias that fits no vocabulary; out-of-memory for the buffers of what is known
   * of each token, and of log-probabilities, which are made when a request first needs them
   */
  async begin(start: number, sample: SampleOptions): Promise<Draws> {
    checkIds(sample, this.#vocab);
    const links = linksOf(sample, this.#vocab);
    const rules = new StepRules(sample, this.#vocab);
    if (links.adjusts) await this.#writeTokens(start, sample, rules.history);
    if (links.logprobs) await this.#have(LOGPROB_BUFFERS);
    const dispatches = await this.#dispatches(links);
    const state = new Uint32Array(STATE_WORDS);
    // The sampler moves to the next position before it hands the id on.
    state[STATE.position] = start - 1;
    state[STATE.tokens] = 1;
    state[STATE.step] = sample.firstStep ?? 0;
    state.set(requestWords(wordsOf(sample)), STATE.request);
    state.set(passWords(links.passes), STATE.passes);
    state.set(stopWords(sample.stopIds ?? []), STATE.stops);
    state[STATE.row] = this.#place.row;
    this.#device.queue.writeBuffer(this.#buffer('state'), 0, state);
    let holds = false;
    // the mask that is in the buffer keeps something out
    let masked = false;
    const write = (mask: TokenMask | null, less: ReadonlyMap<number, number>) => {
      if (mask || masked) this.#writeMask(mask ?? this.#all());
      masked = mask !== null;
      if (links.edits) this.#writeEdits(less);
    };
    return {
      dispatches,
      due: (draw) => rules.due(draw),
      prepare: async (draw) => {
        const { mask, less } = await rules.next(draw);
        write(mask, less);
        holds = true;
      },
      release: () => {
        if (holds) write(null, new Map());
        holds = false;
      },
      push: (id) => {
        if (links.edits) rules.history.push(id);
      },
    };
  }

  #writeMask(mask: TokenMask): void {
    this.#device.queue.writeBuffer(this.#buffer(TOKENS), tokenPlaces(this.#vocab).mask * 4, mask);
  }

  /** What is taken from single logits before one draw. */
  #writeEdits(less: ReadonlyMap<number, number>): void {
    const { queue } = this.#device;
    const pairs = new Uint32Array(2 * less.size);
    const numbers = new Float32Array(pairs.buffer);
    let at = 0;
    for (const [id, by] of less) {
      pairs[at++] = id;
      numbers[at++] = by;
    }
    queue.writeBuffer(this.#buffer(EDITS), 0, pairs);
    queue.writeBuffer(this.#buffer('state'), STATE.edits * 4, Uint32Array.of(less.size));
  }

  #dispatches(links: Links): Promise<Bound[]> {
    const key = JSON.stringify(links);
    const bound = this.#bound.get(key) ?? this.#bind(lowerSampler(this.#vocab, this.#shape, links));
    this.#bound.set(key, bound);
    return bound;
  }

  /** The mask that all may pass. */
  #all(): TokenMask {
    return new Uint32Array(maskWords(this.#vocab)).fill(0xffffffff);
  }

  /** What is known of each token before the first draw, whose id will have the position `start`. */
  async #writeTokens(start: number, sample: SampleOptions, { ids, counts, repeated }: History): Promise<void> {
    const vocab = this.#vocab;
    await this.#have(tokenBuffers(vocab));
    const places = tokenPlaces(vocab);
    const words = new Uint32Array(places.words);
    const biases = new Float32Array(words.buffer, places.bias * 4, vocab);
    for (const [id, count] of counts) words[id] = Math.min(count, 0xffff);
    if (repeats(sample)) for (const [id, count] of repeated) words[id] += Math.min(count, 0xffff) * 0x10000;
    for (const [id, by] of sample.bias ?? []) biases[id] = by;
    words.set(this.#all(), places.mask);
    const ring = words.subarray(places.ring, places.ring + REPEAT_RING).fill(0xffffffff);
    const window = sample.repeatLastN ?? 0;
    // the id of a position is at its remainder
    for (let back = 1; back <= Math.min(window, ids.length); back++)
      ring[(start + window * REPEAT_RING - back) % window] = ids[ids.length - back];
    this.#device.queue.writeBuffer(this.#buffer(TOKENS), 0, words);
  }
}

const repeats = ({ repetitionPenalty = 1 }: SampleOptions): boolean => repetitionPenalty !== 1;

/** The numbers of a request that the shaders read, where their rule is asked for. */
function wordsOf(sample: SampleOptions): Parameters<typeof requestWords>[0] {
  const { repetitionPenalty: _, ...rest } = sample;
  return repeats(sample) ? sample : rest;
}

/** What is told of a draw, from the words that come back with its id. */
export function logprobsIn(id: number, words: Uint32Array<ArrayBuffer>, alternatives: number): Logprobs {
  const numbers = new Float32Array(words.buffer, words.byteOffset, LOGPROB_WORDS);
  const top = Array.from({ length: alternatives }, (_, n) => ({ id: words[3 + 2 * n], logprob: numbers[2 + 2 * n] }));
  // a vocabulary may have fewer ids
  return { id, logprob: numbers[0], top: top.filter(({ id }) => id !== 0xffffffff) };
}
