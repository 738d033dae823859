/**
 * The sampler's kernels beside the definition (src/execute/sampler/chain.ts), on random logits, one draw of each of
 * many seeds: how many ids differ, how many of those by more than the noise of f32 (src/kernels/sample.gpu.test.ts),
 * and Pearson's statistic of the GPU's draws against the definition's probabilities.
 *
 *   node scripts/run.mjs ../bench/sampling [--seeds 10000] [--vocab 1024] [--variant small] [--only TEXT]
 *
 * Exit status 1 where an id differs beyond that noise, more than 1 in 1,000 differ, or a statistic is less likely than
 * 1 in 100,000. Result: bench/sampling.md.
 */
import { parseArgs } from 'node:util';
import { randomValues } from '../src/execute/cpu/test/models';
import { adjusted, argmax, keptOf, sampleToken } from '../src/execute/sampler/chain';
import { linksOf } from '../src/execute/sampler/links';
import type { SampleOptions } from '../src/execute/sampler/options';
import { requestGpu } from '../src/gpu/device';
import { DrawLab, isSure } from '../src/kernels/test/draws';
import { Lab } from '../src/kernels/test/lab';
import { VARIANTS } from '../src/kernels/variants';
import { ADJUSTED, TOKENS, tokenPlaces } from '../src/memory/gpu-scratch';
import { gpuFor } from '../src/node/dawn';
import { runToExit } from './run';

const text = { type: 'string' } as const;
/** Draws of one submit. */
const AT_ONCE = 100;

const RULES: Readonly<Record<string, Partial<SampleOptions>>> = {
  'nothing but a temperature': { temperature: 0.8 },
  'top-k and top-p': { topK: 50, topP: 0.9 },
  'min-p': { minP: 0.05, temperature: 1.5 },
  'top-n-sigma': { topNSigma: 1, temperature: 2 },
  'top-h': { topH: 0.5 },
  typical: { typicalP: 0.8 },
  XTC: { xtcProbability: 0.5, xtcThreshold: 0.02 },
  'epsilon and eta': { epsilonCutoff: 0.002, etaCutoff: 0.005 },
  'a dynamic temperature': { dynatempRange: 0.5 },
  penalties: { repetitionPenalty: 1.3, presencePenalty: 0.5, frequencyPenalty: 0.25, topP: 0.95 },
  'all of them': {
    temperature: 1.4,
    dynatempRange: 0.4,
    topNSigma: 2,
    topH: 0.95,
    topK: 90,
    topP: 0.98,
    minP: 0.01,
    typicalP: 0.95,
    xtcProbability: 0.5,
    xtcThreshold: 0.05,
    epsilonCutoff: 0.002,
    etaCutoff: 0.005,
    repetitionPenalty: 1.2,
    presencePenalty: 0.3,
  },
};

/** What came before, for penalties: some of the likeliest. */
function historyOf(logits: Float32Array) {
  const ids = [...logits.keys()].sort((a, b) => logits[b] - logits[a]).filter((_, rank) => rank % 3 === 0);
  const counts = new Map(ids.slice(0, 40).map((id, i) => [id, 1 + (i % 3)]));
  return { counts, repeated: new Map([...counts].map(([id, count]) => [id, count + 1])) };
}

/** The buffer `tokens` of such a history. */
function tokenWords(vocab: number, { counts, repeated }: ReturnType<typeof historyOf>, penalised: boolean) {
  const places = tokenPlaces(vocab);
  const words = new Uint32Array(places.words).fill(0xffffffff, places.mask);
  for (const [id, count] of counts) words[id] += count;
  if (penalised) for (const [id, count] of repeated) words[id] += count * 0x10000;
  return words;
}

/** Adds the probabilities of one draw to what is expected of all. */
function expect(expected: Float64Array, logits: Float32Array, sample: SampleOptions, step: number): void {
  const { least, most, temperature } = keptOf(logits, sample, step);
  const top = logits[argmax(logits)];
  const weights = new Float64Array(logits.length);
  let mass = 0;
  for (let id = 0; id < logits.length; id++)
    if (logits[id] >= least && logits[id] <= most) mass += weights[id] = Math.exp((logits[id] - top) / temperature);
  for (let id = 0; id < logits.length; id++) expected[id] += weights[id] / mass;
}

/** Pearson's statistic as a number of standard deviations (Wilson and Hilferty 1931); rare ids count as one. */
function deviation(seen: Float64Array, expected: Float64Array): number {
  let [statistic, freedom, rareSeen, rare] = [0, -1, 0, 0];
  const add = (one: number, of: number) => {
    statistic += (one - of) ** 2 / of;
    freedom++;
  };
  for (const [id, of] of expected.entries()) {
    if (of >= 5) add(seen[id], of);
    else [rareSeen, rare] = [rareSeen + seen[id], rare + of];
  }
  if (rare > 0) add(rareSeen, Math.max(rare, 1e-9));
  if (freedom < 1) return 0;
  const spread = 2 / (9 * freedom);
  return (Math.cbrt(statistic / freedom) - 1 + spread) / Math.sqrt(spread);
}

async function run(args: readonly string[]): Promise<number> {
  const options = { seeds: text, vocab: text, variant: text, only: text };
  const { values } = parseArgs({ args: [...args], options });
  const { seeds = '10000', vocab: size = '1024', variant = 'small', only = '' } = values;
  const vocab = Number(size);
  const gpu = await requestGpu(await gpuFor('webgpu', undefined), { limits: 'adapter', features: 'all' });
  const lab = await Lab.open(gpu.device);
  const logits = randomValues(vocab, 17).map((v) => 7 * v * Math.abs(v));
  console.log(`${vocab} ids, ${seeds} seeds each, ${gpu.profile.software ? 'a software GPU' : 'a GPU'}\n`);
  console.log(
    '| rules | passes | kept | differ | beyond the noise | deviations of the draws |\n|---|---|---|---|---|---|',
  );
  let ok = true;
  let different = 0;
  let drawn = 0;
  for (const [name, more] of Object.entries(RULES).filter(([name]) => name.includes(only))) {
    const asked: SampleOptions = { temperature: 1, topK: 0, topP: 1, seed: 0, ...more };
    const history = historyOf(logits);
    const words = tokenWords(vocab, history, asked.repetitionPenalty !== undefined);
    const buffers = { [TOKENS]: lab.buffer(words), [ADJUSTED]: lab.buffer(vocab * 4), logits: lab.buffer(logits) };
    const draws = new DrawLab(lab, VARIANTS[variant].sampler, vocab, buffers);
    const now = adjusted(logits, asked, { history, less: new Map(), mask: null });
    const [seen, expected] = [new Float64Array(vocab), new Float64Array(vocab)];
    const { adjusts, passes, keeps } = linksOf(asked, vocab);
    const { least, most } = keptOf(now, asked, 0);
    const kept = now.filter((logit) => logit >= least && logit <= most).length;
    let [differ, beyond] = [0, 0];
    const samples = Array.from({ length: Number(seeds) }, (_, i) => ({
      ...asked,
      seed: Math.imul(i, 0x9e3779b1) >>> 0,
    }));
    const ids: number[] = [];
    const restored: Record<string, GPUBuffer> = adjusts ? { [TOKENS]: lab.buffer(words) } : {};
    for (let from = 0; from < samples.length; from += AT_ONCE)
      ids.push(...(await draws.drawFirsts(samples.slice(from, from + AT_ONCE), restored)));
    for (const [i, sample] of samples.entries()) {
      seen[ids[i]]++;
      expect(expected, now, sample, 0);
      // with nothing known of what came before, penalties change nothing again
      if (ids[i] === sampleToken(now, sample, 0)) continue;
      differ++;
      if (isSure(now, sample, 0)) beyond++;
    }
    const far = deviation(seen, expected);
    // 4.3 standard deviations: 1 in 100,000
    ok &&= beyond === 0 && differ <= Math.max(1, Number(seeds) / 1000) && far < 4.3;
    different += differ;
    drawn += Number(seeds);
    console.log(
      `| ${name} | ${passes.length}${keeps ? '' : ', draws from all'} | ${kept} | ${differ} | ${beyond} | ${far.toFixed(1)} |`,
    );
  }
  console.log(`\n${different} of ${drawn} draws differ.`);
  return ok && drawn > 0 ? 0 : 1;
}

export const main = (argv: readonly string[]): Promise<never> => runToExit(() => run(argv));
