/** For tests and benches: draws of the sampler's kernels alone, and whether the definition's answer is beyond noise. */

import { lowerSampler } from '../../execute/gpu/lower-sampler';
import { argmax, keptOf, sampleToken } from '../../execute/sampler/chain';
import { linksOf } from '../../execute/sampler/links';
import { gumbel, stepKey } from '../../execute/sampler/noise';
import type { SampleOptions } from '../../execute/sampler/options';
import { Pipelines } from '../../gpu/pipelines';
import {
  ID_RING,
  KEPT,
  LOGPROB_BUFFERS,
  passWords,
  requestWords,
  SAMPLE_GROUPS,
  STATE,
  STATE_WORDS,
  stopWords,
} from '../../memory/gpu-scratch';
import { bindGroup, named } from '../kernel';
import type { SamplerShape } from '../sampling';
import type { Lab } from './lab';

/** The buffer `state` of a request. */
function stateOf(sample: SampleOptions, vocab: number, edits: number): Uint32Array<ArrayBuffer> {
  const state = new Uint32Array(STATE_WORDS);
  state[STATE.position] = 41;
  state[STATE.tokens] = 1;
  state[STATE.step] = sample.firstStep ?? 0;
  state[STATE.edits] = edits;
  state.set(requestWords(sample), STATE.request);
  state.set(passWords(linksOf(sample, vocab).passes), STATE.passes);
  state.set(stopWords(sample.stopIds ?? []), STATE.stops);
  return state;
}

/** A request whose draws run one after another. */
export class DrawLab {
  readonly buffers: Record<string, GPUBuffer>;
  readonly #lab: Lab;
  readonly #shape: SamplerShape;
  readonly #vocab: number;

  /** @param own what the request reads, by the plan's names */
  constructor(lab: Lab, shape: SamplerShape, vocab: number, own: Record<string, GPUBuffer>) {
    this.#lab = lab;
    this.#shape = shape;
    this.#vocab = vocab;
    this.buffers = {
      ...Object.fromEntries(LOGPROB_BUFFERS.map(([name, bytes]) => [name, lab.buffer(bytes)])),
      ...own,
      state: lab.buffer(STATE_WORDS * 4),
      maxima: lab.buffer(SAMPLE_GROUPS * 8),
      winners: lab.buffer(SAMPLE_GROUPS * 8),
      kept: lab.buffer(KEPT.words * 4),
      ids: lab.buffer(16),
      sampled: lab.buffer(ID_RING * 4),
    };
  }

  #jobs(sample: SampleOptions) {
    const { buffers } = this;
    return lowerSampler(this.#vocab, this.#shape, linksOf(sample, this.#vocab)).map(
      (op) => [op.kernel, named(op.buffers, (name) => buffers[name]), [op.groups(1, 0, [])[0]]] as const,
    );
  }

  /** Draws so many ids, at most ID_RING, by the passes that the request asks for. @param edits how many there are */
  async draw(sample: SampleOptions, count: number, edits = 0): Promise<number[]> {
    const { buffers } = this;
    this.#lab.device.queue.writeBuffer(buffers.state, 0, stateOf(sample, this.#vocab, edits));
    await this.#lab.runAll(this.#jobs(sample), count);
    return [...(await this.#lab.words(buffers.sampled)).slice(0, count)];
  }

  /**
   * The first id of each request, all of which ask for the same rules.
   * @param restored by name, what a buffer holds before each of them
   */
  async drawFirsts(samples: readonly SampleOptions[], restored: Record<string, GPUBuffer> = {}): Promise<number[]> {
    const { device } = this.#lab;
    const { buffers } = this;
    const states = samples.flatMap((sample) => [...stateOf(sample, this.#vocab, 0)]);
    const [from, made] = [this.#lab.buffer(Uint32Array.from(states)), this.#lab.buffer(samples.length * 4)];
    const jobs = this.#jobs(samples[0]);
    const pipelines = await Promise.all(jobs.map(([kernel]) => Pipelines.of(device).get(kernel)));
    const groups = jobs.map(([kernel, bound], i) => bindGroup(device, pipelines[i], kernel, bound));
    const encoder = device.createCommandEncoder();
    for (let i = 0; i < samples.length; i++) {
      encoder.copyBufferToBuffer(from, i * STATE_WORDS * 4, buffers.state, 0, STATE_WORDS * 4);
      for (const [name, buffer] of Object.entries(restored))
        encoder.copyBufferToBuffer(buffer, 0, buffers[name], 0, buffer.size);
      const pass = encoder.beginComputePass();
      for (const [j, [, , workgroups]] of jobs.entries()) {
        pass.setPipeline(pipelines[j]);
        pass.setBindGroup(0, groups[j]);
        pass.dispatchWorkgroups(workgroups[0]);
      }
      pass.end();
      encoder.copyBufferToBuffer(buffers.sampled, 0, made, i * 4, 4);
    }
    device.queue.submit([encoder.finish()]);
    const ids = [...(await this.#lab.words(made))];
    for (const buffer of [from, made]) buffer.destroy();
    return ids;
  }
}

/** Numbers that the GPU compares with sums or logarithms in f32, and how much they may be off by that. */
function noises(sample: SampleOptions, vocab: number): (readonly [keyof SampleOptions, number])[] {
  const sum = 3e-6 + vocab * 2 ** -30;
  const relative = ['topNSigma', 'minP', 'xtcThreshold', 'epsilonCutoff', 'etaCutoff', 'dynatempRange'] as const;
  return [
    ...(['topP', 'typicalP', 'topH'] as const).map((name) => [name, sum] as const),
    ...relative.map((name) => [name, 2e-5 * (sample[name] ?? 0)] as const),
  ];
}

/**
 * Whether the definition's own answer would survive the noise of f32 (sample.gpu.test.ts).
 * @param logits adjusted
 */
export function isSure(logits: Float32Array, sample: SampleOptions, step: number): boolean {
  const { least, most, temperature } = keptOf(logits, sample, step);
  const key = stepKey(sample.seed, step);
  const top = logits[argmax(logits)];
  const best = { score: Number.NEGATIVE_INFINITY, far: 0 };
  const second = { ...best };
  for (let id = 0; id < logits.length; id++) {
    if (!(logits[id] >= least && logits[id] <= most)) continue;
    const far = (top - logits[id]) / temperature;
    const score = gumbel(key, id) - far;
    if (score > best.score) Object.assign(second, best);
    if (score > second.score) Object.assign(score > best.score ? best : second, { score, far });
  }
  if (best.score - second.score < 1e-4 + Math.max(best.far, second.far) * 2 ** -21) return false;
  return noises(sample, logits.length).every(([name, noise]) => {
    const value = sample[name] as number | undefined;
    // 0 and 1 are exact
    if (value === undefined || noise === 0 || value === 0 || value === 1) return true;
    const most = ['topNSigma', 'dynatempRange'].includes(name) ? Number.POSITIVE_INFINITY : 1;
    const answers = [value - noise, value + noise].map((one) =>
      sampleToken(logits, { ...sample, [name]: Math.min(Math.max(one, 1e-12), most) }, step),
    );
    return answers[0] === answers[1];
  });
}
