/** The sampler on the GPU: what a request asks is written to its buffers, and its dispatches are bound once. */

import type { SamplerShape } from '../../kernels/sampling';
import { requestWords, STATE, STATE_WORDS, stopWords, TOKENS, tokenBuffers } from '../../memory/gpu-scratch';
import { type Links, linksOf } from '../sampler/links';
import { checkBias, maskWords, nextMask, type SampleOptions, type TokenMask } from '../sampler/options';
import type { PlanBuffers } from './buffers';
import { lowerSampler } from './lower-sampler';
import type { Bound, Op } from './op';

/** The draws of one request. */
export interface Draws {
  /** the dispatches of one draw */
  readonly dispatches: readonly Bound[];
  /** asks for the next draw's mask and writes it. @throws invalid-option for a mask that fits no vocabulary */
  useMask(): Promise<void>;
}

export class GpuSampler {
  readonly #device: GPUDevice;
  readonly #buffers: PlanBuffers;
  readonly #vocab: number;
  readonly #bind: (ops: readonly Op[]) => Promise<Bound[]>;
  readonly #shape: SamplerShape;
  /** by the links that are asked for */
  readonly #bound = new Map<string, Promise<Bound[]>>();

  /** @param bind makes the pipelines and bind groups of dispatches */
  constructor(
    device: GPUDevice,
    buffers: PlanBuffers,
    vocab: number,
    shape: SamplerShape,
    bind: (ops: readonly Op[]) => Promise<Bound[]>,
  ) {
    this.#device = device;
    this.#buffers = buffers;
    this.#vocab = vocab;
    this.#shape = shape;
    this.#bind = bind;
  }

  /**
   * Writes what a request asks, for draws whose first id will have the position `start`.
   * @throws invalid-option for a bias that fits no vocabulary; out-of-memory for the buffers of what is known of each
   * token, which are made when a request first needs them
   */
  async begin(start: number, sample: SampleOptions): Promise<Draws> {
    checkBias(sample.bias, this.#vocab);
    const links = linksOf(sample, this.#vocab);
    if (links.adjusts) await this.#writeTokens(sample);
    const dispatches = await this.#dispatches(links);
    const state = new Uint32Array(STATE_WORDS);
    // The sampler moves to the next position before it hands the id on.
    state[STATE.position] = start - 1;
    state[STATE.tokens] = 1;
    state[STATE.step] = sample.firstStep ?? 0;
    state.set(requestWords(sample), STATE.request);
    state.set(stopWords(sample.stopIds ?? []), STATE.stops);
    this.#device.queue.writeBuffer(this.#buffers.get('state'), 0, state);
    const useMask = async () => {
      const mask = await nextMask(sample, this.#vocab);
      this.#device.queue.writeBuffer(this.#buffers.get(TOKENS), 2 * this.#vocab * 4, mask ?? this.#all());
    };
    return { dispatches, useMask };
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

  async #writeTokens({ bias = new Map(), counted = [] }: SampleOptions): Promise<void> {
    const vocab = this.#vocab;
    if (!this.#buffers.has(TOKENS)) {
      const plans = tokenBuffers(vocab).map(([name, bytes]) => ({ name, bytes, purpose: 'scratch' as const }));
      this.#buffers.adopt(await this.#buffers.allocate(plans));
    }
    const words = new Uint32Array(2 * vocab + maskWords(vocab));
    const biases = new Float32Array(words.buffer, vocab * 4, vocab);
    for (let i = 0; i < counted.length; i++) words[counted[i]]++;
    for (const [id, by] of bias) biases[id] = by;
    words.set(this.#all(), 2 * vocab);
    this.#device.queue.writeBuffer(this.#buffers.get(TOKENS), 0, words);
  }
}
