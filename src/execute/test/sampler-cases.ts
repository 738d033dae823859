/** What decode() makes of what a request asks for single tokens, for every executor. */
import { describe, expect, it } from 'vitest';
import { parseSpec } from '../../model/parse';
import { GREEDY, largestDifference, type Maker, randomModel, take } from '../cpu/test/models';
import { sampleToken } from '../sampler/chain';
import { logprobsOf } from '../sampler/logprobs';
import { BANNED, type Logprobs, maskWords, type SampleOptions, type TokenMask } from '../sampler/options';
import { StepRules } from '../sampler/step-rules';
import type { OneCache } from './one-cache';

const VOCAB = 97;
const PROMPT = Array.from({ length: 20 }, (_, i) => (i * 31 + 7) % VOCAB);
const sliding = { sliding_window: 9, layer_types: ['sliding_attention', 'full_attention'] };
const DRAW: SampleOptions = { temperature: 1.3, topK: 20, topP: 0.95, seed: 5 };

const spec = parseSpec({
  model_type: 'mistral',
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  vocab_size: VOCAB,
  max_position_embeddings: 256,
  ...sliding,
});

const allowing = (allowed: (id: number) => boolean): TokenMask => {
  const mask = new Uint32Array(maskWords(VOCAB));
  for (let id = 0; id < VOCAB; id++) if (allowed(id)) mask[id >> 5] |= 1 << (id & 31);
  return mask;
};

/** The ids that the definition draws from the logits of whole prompts, one after another. */
async function defined(
  executor: OneCache,
  count: number,
  sample: SampleOptions,
  maskAfter: ((ids: readonly number[]) => TokenMask | null) | null = null,
): Promise<number[]> {
  const made: number[] = [];
  const asked = maskAfter ? { ...sample, mask: () => maskAfter(made) } : sample;
  const rules = new StepRules(asked, VOCAB);
  for (let step = 0; step < count; step++) {
    await executor.prefill([...PROMPT, ...made], 0);
    const state = { history: rules.history, ...(await rules.next(step)) };
    const id = sampleToken(await executor.logits(), asked, step, state);
    made.push(id);
    rules.history.push(id);
  }
  return made;
}

/** What came before, where the prompt's last id has been followed by most others. */
const FOLLOWED = [...[...Array(80).keys()].flatMap((id) => [PROMPT[PROMPT.length - 1], id]), ...PROMPT];

/** All that a request may ask at once. */
const EVERYTHING: SampleOptions = {
  temperature: 1.2,
  dynatempRange: 0.3,
  topNSigma: 3,
  topH: 0.98,
  topK: 40,
  topP: 0.98,
  minP: 0.01,
  typicalP: 0.97,
  xtcProbability: 0.5,
  xtcThreshold: 0.1,
  epsilonCutoff: 0.002,
  etaCutoff: 0.002,
  repetitionPenalty: 1.2,
  presencePenalty: 0.3,
  frequencyPenalty: 0.2,
  repeatLastN: 11,
  dryMultiplier: 0.8,
  dryAllowedLength: 1,
  noRepeatNgram: 2,
  badWords: [[5, 6]],
  beginSuppressTokens: [1, 2, 3],
  minTokens: 4,
  stopIds: [90],
  seed: 11,
  before: PROMPT,
  bias: new Map([
    [7, 2],
    [8, BANNED],
  ]),
};

export function describeSampler(maker: Maker): void {
  const open = (chunk = 16) => randomModel(spec, { promptTokens: 40, maxNewTokens: 30, chunk }, { type: 'f32' }, maker);

  describe('what a request asks for single tokens', () => {
    // A ring with a chunk of one has no room for a pass ahead.
    it.each([
      [16, DRAW],
      [1, GREEDY],
    ])('a mask is asked for before each draw, with all ids known (chunks of %i)', async (chunk, sample) => {
      const executor = await open(chunk);
      // neither the same remainder as the last id, nor one that a fixed mask would give
      const maskAfter = (ids: readonly number[]) =>
        ids.length === 3 ? null : allowing((id) => id % 3 !== (ids.at(-1) ?? 1) % 3);
      const made: number[] = [];
      const asked: number[] = [];
      const mask = async () => {
        asked.push(made.length);
        await new Promise((resolve) => setTimeout(resolve));
        return maskAfter(made);
      };
      await executor.prefill(PROMPT, 0);
      const free = await take(executor.decode(PROMPT.length, 5, sample));
      await executor.prefill(PROMPT, 0);
      for await (const id of executor.decode(PROMPT.length, 5, { ...sample, mask })) made.push(id);
      expect(asked).toEqual([0, 1, 2, 3, 4]);
      expect(made).toEqual(await defined(executor, 5, sample, maskAfter));
      expect(made).not.toEqual(free);
    });

    it.each<[string, SampleOptions]>([
      ['penalties', { ...GREEDY, before: PROMPT, repetitionPenalty: 1.3, presencePenalty: 1, frequencyPenalty: 0.5 }],
      ['a penalty in a window', { ...GREEDY, before: PROMPT, repetitionPenalty: 1.8, repeatLastN: 5 }],
      ['DRY', { ...GREEDY, before: FOLLOWED, dryMultiplier: 20, dryAllowedLength: 1 }],
      ['no bigram twice', { ...GREEDY, before: FOLLOWED, noRepeatNgram: 2 }],
      ['a beginning and an end', { ...GREEDY, forcedTokens: [4, 5], forcedEndIds: [90, 91], lastStep: 13 }],
      ['a first token that is not to be, later ones that may', { ...DRAW, beginSuppressTokens: [...Array(90).keys()] }],
      ['everything', EVERYTHING],
    ])('%s: the ids of the definition', async (_, sample) => {
      const executor = await open();
      const wanted = await defined(executor, 14, sample);
      await executor.prefill(PROMPT, 0);
      const free = { ...DRAW, ...(sample.temperature === 0 && GREEDY) };
      expect(await take(executor.decode(PROMPT.length, 14, free))).not.toEqual(wanted);
      for (let round = 0; round < 2; round++) {
        await executor.prefill(PROMPT, 0);
        expect(await take(executor.decode(PROMPT.length, 14, sample))).toEqual(wanted);
      }
      // an answer that goes on where it was left
      await executor.prefill([...PROMPT, ...wanted.slice(0, 6)], 0);
      const rest = { ...sample, firstStep: 6, counted: wanted.slice(0, 6) };
      expect(await take(executor.decode(PROMPT.length + 6, 8, rest))).toEqual(wanted.slice(6));
    });

    it('no end before the least tokens, with more ends than the GPU knows, and then one', async () => {
      const executor = await open();
      const stopIds = [...Array(97).keys()].filter((id) => id !== 11 && id !== 12);
      await executor.prefill(PROMPT, 0);
      const made = await take(executor.decode(PROMPT.length, 20, { ...DRAW, minTokens: 6, stopIds }));
      expect(made).toHaveLength(7);
      expect(made.slice(0, 6).every((id) => id === 11 || id === 12)).toBe(true);
    });

    it.each([0, 20])('log-probabilities with %i alternatives come with each id', async (logprobs) => {
      const executor = await open();
      for (const sample of [DRAW, EVERYTHING, { ...GREEDY, stopIds: [...Array(97).keys()] }]) {
        const told: Logprobs[] = [];
        await executor.prefill(PROMPT, 0);
        const made: number[] = [];
        const asked = { ...sample, logprobs, onLogprobs: (one: Logprobs) => told.push(one) };
        for await (const id of executor.decode(PROMPT.length, 9, asked)) {
          made.push(id);
          expect(told.map((one) => one.id)).toEqual(made);
        }
        await executor.prefill(PROMPT, 0);
        expect(made).toEqual(await take(executor.decode(PROMPT.length, 9, sample)));
        for (const [step, id] of made.entries()) {
          await executor.prefill([...PROMPT, ...made.slice(0, step)], 0);
          const here = logprobsOf(await executor.logits(), id, logprobs);
          expect(told[step].top.map((one) => one.id)).toEqual(here.top.map((one) => one.id));
          for (const [i, one] of [told[step], ...told[step].top].entries())
            expect(one.logprob).toBeCloseTo([here, ...here.top][i].logprob, 3);
        }
      }
    });

    it('a step that was left, or refused, does no harm to the next request', async () => {
      const executor = await open();
      await executor.prefill(PROMPT, 0);
      const free = await take(executor.decode(PROMPT.length, 8, DRAW));
      const odd = allowing((id) => id % 2 === 1);
      await executor.prefill(PROMPT, 0);
      for await (const id of executor.decode(PROMPT.length, 8, { ...DRAW, mask: () => odd })) {
        expect(id % 2).toBe(1);
        break;
      }
      const masks = [odd, new Uint32Array(maskWords(VOCAB))];
      const refused = executor.decode(PROMPT.length, 8, { ...DRAW, mask: () => masks.shift() ?? null });
      await executor.prefill(PROMPT, 0);
      await expect(take(refused)).rejects.toMatchObject({ code: 'invalid-option', message: /none of the 97 ids/ });
      await executor.prefill(PROMPT, 0);
      expect(await take(executor.decode(PROMPT.length, 8, DRAW))).toEqual(free);
    });

    it('nothing is drawn after an id that ends the answer, and the next request has ends of its own', async () => {
      const executor = await open();
      await executor.prefill(PROMPT, 0);
      const free = await take(executor.decode(PROMPT.length, 20, DRAW));
      const at = free.findIndex((id, i) => i > 2 && free.indexOf(id) === i);
      for (const stopIds of [[96, free[at]], [free[at]], [...Array(30).keys()].map((i) => 200 + i).concat(free[at])]) {
        await executor.prefill(PROMPT, 0);
        expect(await take(executor.decode(PROMPT.length, 20, { ...DRAW, stopIds }))).toEqual(free.slice(0, at + 1));
        await executor.prefill(PROMPT, 0);
        expect(await take(executor.decode(PROMPT.length, 20, { ...DRAW, stopIds: [200] }))).toEqual(free);
      }
      await executor.prefill(PROMPT, 0);
      const first = { ...DRAW, stopIds: [free[0]] };
      expect(await take(executor.decode(PROMPT.length, 20, first))).toEqual(free.slice(0, 1));
    });

    it('a bias moves single logits, and only in its request', async () => {
      const executor = await open();
      await executor.prefill(PROMPT, 0);
      const logits = await executor.logits();
      const free = await take(executor.decode(PROMPT.length, 6, GREEDY));
      // so that the second likeliest is level with the likeliest, and the lower id wins
      const second = logits.indexOf(logits.toSorted()[VOCAB - 2]);
      await executor.prefill(PROMPT, 0);
      const bias = new Map([
        [96, 1e4],
        [free[0], 5],
      ]);
      expect(await take(executor.decode(PROMPT.length, 3, { ...DRAW, bias }))).toEqual([96, 96, 96]);
      await executor.prefill(PROMPT, 0);
      const away = new Map([[free[0], -100]]);
      expect((await take(executor.decode(PROMPT.length, 1, { ...GREEDY, bias: away })))[0]).toBe(second);
      await executor.prefill(PROMPT, 0);
      expect(await take(executor.decode(PROMPT.length, 6, GREEDY))).toEqual(free);
    });

    // A sliding window of 9 and chunks of 16 or 4: what is thrown away wraps around the ring.
    it.each<[number, SampleOptions, string]>([
      [16, GREEDY, 'right'],
      [16, DRAW, 'right'],
      [16, DRAW, 'wrong'],
      [4, GREEDY, 'in part'],
      [16, GREEDY, 'now and then'],
      [16, DRAW, 'under a mask'],
      [16, { ...EVERYTHING, stopIds: [] }, 'right'],
      [16, { ...EVERYTHING, stopIds: [], logprobs: 2 }, 'in part'],
      [4, { ...DRAW, before: PROMPT, repetitionPenalty: 1.4, frequencyPenalty: 0.5 }, 'in part'],
      [1, GREEDY, 'right'],
    ])('a draft changes no id (chunks of %i, %j, %s)', async (chunk, sample, kind) => {
      const executor = await open(chunk);
      const count = 30;
      const end = PROMPT.length + count - 1;
      const options = kind === 'under a mask' ? { ...sample, mask: () => allowing((id) => id % 3 > 0) } : sample;
      await executor.prefill(PROMPT, 0);
      const plain = await take(executor.decode(PROMPT.length, count, options));
      await executor.prefill([...PROMPT, ...plain].slice(0, end), 0);
      const after = await executor.logits();

      const made: number[] = [];
      let asked = 0;
      const draft = (): number[] => {
        asked++;
        const right = plain.slice(made.length, made.length + 5);
        if (kind === 'wrong') return right.map((id) => (id + 1) % VOCAB);
        if (kind === 'in part') return right.map((id, i) => (i > 1 ? (id + 1) % VOCAB : id));
        return kind === 'now and then' && asked % 2 ? [] : right;
      };
      await executor.prefill(PROMPT, 0);
      for await (const id of executor.decode(PROMPT.length, count, { ...options, draft })) made.push(id);
      expect(made).toEqual(plain);
      if (kind === 'right' || kind === 'under a mask') expect(asked).toBe(Math.ceil((count - 1) / Math.min(6, chunk)));
      if (kind === 'wrong') expect(asked).toBe(count - 1);
      if (kind === 'in part') expect(asked).toBe(Math.ceil((count - 1) / 3));
      // and the rings are as they would be
      await executor.prefill(plain.slice(-2, -1), end - 1);
      expect(largestDifference(await executor.logits(), after)).toBeLessThan(1e-3);
    });

    it.each<[string, Partial<SampleOptions>, RegExp]>([
      ['a mask of another length', { mask: () => new Uint32Array(3) }, /97 ids has 4 words, not 3/],
      ['a mask of ids beyond the last', { mask: () => Uint32Array.of(0, 0, 0, 0xfffffffe) }, /none of the 97 ids/],
      ['a bias of an id that does not exist', { bias: new Map([[97, 1]]) }, /bias has 1 for id 97/],
      ['a bias that is no number', { bias: new Map([[0, Number.NaN]]) }, /bias has NaN for id 0/],
      ['a draft of an id that does not exist', { draft: () => [97] }, /proposes id 97: ids are 0 to 96/],
      ['a bad word that does not exist', { badWords: [[3, 97]] }, /badWords has id 97: ids are 0 to 96/],
      ['a first token that does not exist', { forcedTokens: [200] }, /forcedTokens has id 200: ids are 0 to 96/],
      ['a bias that no f32 holds', { bias: new Map([[0, 1e39]]) }, /numbers finite/],
    ])('refuses %s', async (_, more, message) => {
      const executor = await open();
      await executor.prefill(PROMPT, 0);
      const ids = executor.decode(PROMPT.length, 3, { ...GREEDY, ...more });
      await expect(take(ids)).rejects.toMatchObject({ code: 'invalid-option', message });
    });
  });
}
