import { describe, expect, it } from 'vitest';
import { ARCHITECTURES } from '../../formats/gguf-architectures';
import { type MatrixFormat, NF4_CODEBOOK } from '../../formats/matrix';
import type { WeightsOption } from '../../memory/formats';
import type { KvType } from '../../memory/kv';
import type { PlanRequest } from '../../memory/plan';
import { FAMILIES } from '../../model/families';
import { parseSpec } from '../../model/parse';
import type { ModelSpec } from '../../model/spec';
import type { OneCache } from '../test/one-cache';
import type { Computing } from './arithmetic';
import { BIASED, biasedModel, SLOWEST_PAIR } from './test/biased';
import { FAMILY_FIXTURES, FORMAT_FIXTURES, GGUF_FIXTURES, modelTypes } from './test/fixtures';
import {
  allLogits,
  CPU_WAYS,
  expected,
  GREEDY,
  INT16,
  largestDifference,
  openFixture,
  planOf,
  randomModel,
  TOLERANCE,
  take,
  threaded,
} from './test/models';
import { compareWithTransformers } from './test/transformers';

describe.each([...FORMAT_FIXTURES, ...GGUF_FIXTURES, ...FAMILY_FIXTURES])(
  '%s as transformers computes it',
  (path, weights) => {
    describe.each(CPU_WAYS)('in %s', (_, maker) => {
      it.each(['f32', 'f16', 'int8'] as const)('logits and greedy ids with %s KV', (kvType) =>
        compareWithTransformers(path, weights, kvType, maker),
      );
    });
    it.each(['f32', 'f16'] as const)('in threads: logits and greedy ids with %s KV', async (kvType) => {
      const opened: Computing[] = [];
      await compareWithTransformers(path, weights, kvType, threaded(opened));
      // helpers have computed
      expect(opened[0].jobs.done).toBeGreaterThan(0);
    });
    it('logits and greedy ids with products of 16 bits', () => compareWithTransformers(path, weights, 'f32', INT16));
  },
);

it('every family has a fixture, and every architecture of GGUF', () => {
  expect(modelTypes(FAMILY_FIXTURES)).toEqual(expect.arrayContaining(Object.keys(FAMILIES)));
  const architectures = Object.values(ARCHITECTURES).map(({ modelType }) => modelType);
  expect(modelTypes(GGUF_FIXTURES)).toEqual(expect.arrayContaining(architectures));
});

const tiny = (more = {}): ModelSpec =>
  parseSpec({
    model_type: 'llama',
    hidden_size: 64,
    intermediate_size: 96,
    num_hidden_layers: 3,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 16,
    vocab_size: 97,
    max_position_embeddings: 256,
    ...more,
  });
const prompt = (n: number) => Array.from({ length: n }, (_, i) => (i * 31 + 7) % 97);

describe('prefill', () => {
  it.each([1, 2, 3, 5, 32, 128])('in chunks of %d equals one token at a time', async (chunk) => {
    const ids = prompt(45);
    const alone = await randomModel(tiny());
    for (const [i, id] of ids.entries()) await alone.prefill([id], i);
    const together = await randomModel(tiny(), { chunk });
    await together.prefill(ids, 0);
    expect(largestDifference(await together.logits(), await alone.logits())).toBeLessThan(1e-4);
  });
  it('after a shared prefix equals a fresh one', async () => {
    const ids = prompt(40);
    const executor = await randomModel(tiny());
    await executor.prefill([...ids.slice(0, 25), 1, 2, 3, 4, 5, 6], 0);
    await executor.prefill(ids.slice(25), 25);
    const fresh = await randomModel(tiny());
    await fresh.prefill(ids, 0);
    expect(largestDifference(await executor.logits(), await fresh.logits())).toBeLessThan(1e-5);
  });
  it('decodes what prefilling the decoded ids predicts', async () => {
    const executor = await randomModel(tiny());
    const ids = prompt(9);
    await executor.prefill(ids, 0);
    const made = await take(executor.decode(9, 20, GREEDY));
    const again = await randomModel(tiny());
    const rows = await allLogits(again, [...ids, ...made]);
    expect(made).toEqual(rows.slice(8, 28).map((row) => row.indexOf(Math.max(...row))));
  });
});

describe('weights', () => {
  const formats: MatrixFormat[] = [
    { type: 'q4', block: 32, offset: false, codebook: NF4_CODEBOOK },
    { type: 'q8', block: 32, offset: false },
    { type: 'q8', block: 16, offset: false },
    { type: 'q8', block: 'row', offset: false },
    { type: 'f16' },
    { type: 'bf16' },
  ];
  it.each(formats)('$type ($block): one token at a time as many at once, and near f32', async (format) => {
    const ids = prompt(12);
    const many = await randomModel(tiny(), {}, format);
    const rows = await allLogits(many, ids);
    const one = await randomModel(tiny(), {}, format);
    const exact = await allLogits(await randomModel(tiny()), ids);
    for (const [i, id] of ids.entries()) {
      await one.prefill([id], i);
      expect(largestDifference(await one.logits(), rows[i])).toBeLessThan(1e-4);
    }
    const scale = Math.max(...exact[11].map(Math.abs));
    expect(largestDifference(rows[11], exact[11])).toBeLessThan(format.type === 'q4' ? scale : 0.05 * scale);
    expect(largestDifference(rows[11], exact[11])).toBeGreaterThan(0);
  });
  it.each(['tiny-gguf/gemma/model.gguf', 'tiny-gguf/llama-linear/model.gguf', 'tiny-llama-128/nf4'])(
    'of %s as f32 are what they were, and as nf4 near it',
    async (path) => {
      const ids = expected(path.replace(/\/model\.gguf$/, '')).prompts[1].ids;
      const of = async (weights: WeightsOption) => {
        const { executor, model } = await openFixture(path, {}, weights);
        await executor.prefill(ids, 0);
        const types = new Set([...model.formats.values()].map(({ type }) => type));
        return { logits: await executor.logits(), types: [...types].sort().join() };
      };
      const kept = await of('keep');
      const scale = Math.max(...kept.logits.map(Math.abs));
      const wide = await of('f32');
      expect(wide.types).toBe('f32');
      expect(largestDifference(wide.logits, kept.logits) / scale).toBeLessThan(1e-5);
      const rounded = await of('nf4');
      expect(rounded.types).not.toBe(kept.types);
      const off = largestDifference(rounded.logits, kept.logits) / scale;
      expect(off).toBeGreaterThan(1e-3);
      expect(off).toBeLessThan(1);
    },
  );
  it('are refused when rows are missing, out of order or of another width', async () => {
    const spec = tiny();
    const name = 'model.embed_tokens.weight';
    const executor = await randomModel(spec);
    const slice = { row0: 0, rows: 1, cols: 64, type: 'dense', dense: 'f32', data: new Uint8Array(256) } as const;
    await expect(executor.sink.write(name, slice)).rejects.toMatchObject({ code: 'corrupt-checkpoint' });
    await expect(executor.sink.write('no.such', slice)).rejects.toMatchObject({ code: 'corrupt-checkpoint' });
    expect(() => executor.sink.writeVector('model.norm.weight', new Float32Array(3))).toThrow(/64 are needed/);
  });
});

describe('families are data', () => {
  it.each([
    [
      'gemma3',
      {
        model_type: 'gemma3_text',
        sliding_window: 9,
        sliding_window_pattern: 2,
        rope_local_base_freq: 1e4,
        rope_theta: 1e6,
      },
    ],
    ['gemma2', { model_type: 'gemma2', sliding_window: 9, attn_logit_softcapping: 5, final_logit_softcapping: 3 }],
    ['qwen2', { model_type: 'qwen2' }],
    ['qwen3', { model_type: 'qwen3' }],
    ['mistral', { model_type: 'mistral', sliding_window: 9 }],
  ])('%s: a ring that wraps equals a cache of everything, in any chunking', async (_, more) => {
    const ids = prompt(70);
    const spec = tiny(more);
    // 9 + 24 - 1 = 32 slots: the last chunk leaves the ring none to spare.
    // The same windows over a cache that never wraps: kvCapacity does not matter to a ring, so the layers say global.
    const whole = await randomModel(
      { ...spec, layers: spec.layers.map((layer) => ({ ...layer, kind: 'global' as const })) },
      { promptTokens: 70, maxNewTokens: 20 },
    );
    const rows = await allLogits(whole, ids);
    for (const chunk of [1, 7, 8, 9, 24]) {
      const ring = await randomModel(spec, { promptTokens: 70, maxNewTokens: 20, chunk });
      const wrapped = await allLogits(ring, ids);
      for (const [i, row] of rows.entries()) expect(largestDifference(wrapped[i], row)).toBeLessThan(1e-4);
      if ('sliding_window' in more) expect(ring.memory().kv).toBeLessThan(whole.memory().kv);
    }
    if (spec.logitSoftcap) expect(Math.max(...rows[69].map(Math.abs))).toBeLessThan(spec.logitSoftcap);
  });
});

describe('int8 keys and values', () => {
  it.each([
    ['hardly turns', SLOWEST_PAIR],
    ['turns', 8],
  ])('cost no more where keys have a bias of 200 on a pair that %s', async (_, pair) => {
    const ids = Array.from({ length: 120 }, (_, i) => (i * i * 31 + 7) % BIASED.vocab);
    const rows = async (kvType: KvType) => allLogits(await biasedModel(pair, { kvType, promptTokens: 120 }), ids);
    const [exact, rounded] = [await rows('f32'), await rows('int8')];
    const scale = Math.max(
      ...exact.map((row) =>
        largestDifference(
          row,
          row.map(() => 0),
        ),
      ),
    );
    const off = Math.max(...rounded.map((row, i) => largestDifference(row, exact[i]))) / scale;
    expect(off).toBeGreaterThan(1e-4);
    expect(off).toBeLessThan(TOLERANCE.int8);
  });
});

describe('the cache', () => {
  const reserve = async (executor: OneCache, spec: ModelSpec, more: Partial<PlanRequest>) => {
    await executor.reserve(planOf(spec, more));
  };
  it.each(['f32', 'f16', 'int8'] as const)('that has grown equals one that never had to: %s', async (kvType) => {
    const ids = prompt(60);
    const spec = tiny({ model_type: 'gemma3_text', sliding_window: 9, sliding_window_pattern: 2, rope_theta: 1e6 });
    const grown = await randomModel(spec, { promptTokens: 30, maxNewTokens: 2, chunk: 4, kvType });
    const before = grown.memory().kv;
    await grown.prefill(ids.slice(0, 30), 0);
    await reserve(grown, spec, { promptTokens: 60, maxNewTokens: 5, chunk: 4, kvType });
    expect(grown.memory().kv).toBeGreaterThan(before);
    await grown.prefill(ids.slice(30), 30);
    const fresh = await randomModel(spec, { promptTokens: 60, maxNewTokens: 5, chunk: 4, kvType });
    await fresh.prefill(ids, 0);
    expect(largestDifference(await grown.logits(), await fresh.logits())).toBeLessThan(1e-5);
    expect(grown.memory().kv).toBe(fresh.memory().kv);
  });
  it('takes what the plan says, to the byte, in each type', async () => {
    for (const kvType of ['f16', 'f32', 'int8'] as const) {
      const spec = tiny();
      const executor = await randomModel(spec, { kvType });
      const plan = planOf(spec, { kvType });
      const { weights, kv, scratch, total } = executor.memory();
      expect({ weights, kv, scratch, total }).toEqual({
        weights: plan.weights,
        kv: plan.kv,
        scratch: plan.scratch,
        total: plan.total,
      });
    }
  });
  it('refuses a position beyond its slots with the numbers, and stays usable', async () => {
    const executor = await randomModel(tiny(), { promptTokens: 30, maxNewTokens: 3 });
    await executor.prefill(prompt(32), 0);
    await expect(executor.prefill([1], 32)).rejects.toMatchObject({
      code: 'context-overflow',
      details: { position: 32, capacity: 32 },
    });
    await executor.prefill([1], 31);
  });
});

describe('what is refused', () => {
  it.each([[[]], [[97]], [[-1]], [[0.5]], [[1, Number.NaN]]])('ids %j', async (ids) => {
    const executor = await randomModel(tiny());
    await expect(executor.prefill(ids, 0)).rejects.toMatchObject({ code: 'invalid-option' });
    await expect(executor.logits()).rejects.toMatchObject({ code: 'invalid-option' });
  });
});

describe('stopping', () => {
  it('in the middle of a prompt, after which the next one works', async () => {
    const executor = await randomModel(tiny());
    const stop = new AbortController();
    const running = executor.prefill(prompt(128), 0, { signal: stop.signal, onLogits: () => stop.abort() });
    await expect(running).rejects.toMatchObject({ code: 'aborted' });
    await executor.prefill(prompt(9), 0);
    const fresh = await randomModel(tiny());
    await fresh.prefill(prompt(9), 0);
    expect(await executor.logits()).toEqual(await fresh.logits());
  });
  it('between two tokens', async () => {
    const executor = await randomModel(tiny());
    await executor.prefill([1, 2, 3], 0);
    const stop = new AbortController();
    const made: number[] = [];
    const running = async () => {
      for await (const id of executor.decode(3, 50, GREEDY, stop.signal)) if (made.push(id) === 2) stop.abort();
    };
    await expect(running()).rejects.toMatchObject({ code: 'aborted' });
    expect(made).toHaveLength(2);
  });
});
