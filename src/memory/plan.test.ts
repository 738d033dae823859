import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type MatrixFormat, NF4_CODEBOOK } from '../formats/matrix';
import { forwardSteps, tensorTable } from '../model/decoder';
import { parseSpec } from '../model/parse';
import type { ModelSpec } from '../model/spec';
import { kvBytes } from './kv';
import { DEFAULT_LIMITS, type MemoryPlan, type ModelGraph, type PlanRequest, planMemory } from './plan';

const NF4: MatrixFormat = { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK };
const MIB = 2 ** 20;
const GIB = 2 ** 30;

const request = (more: Partial<PlanRequest> = {}): PlanRequest => ({
  promptTokens: 128,
  maxNewTokens: 257,
  kvType: 'f16',
  kvCapacity: 'auto',
  maxContext: null,
  chunk: 128,
  budget: null,
  snapshots: 0,
  ...more,
});

function modelOf(spec: ModelSpec, format: MatrixFormat = NF4): ModelGraph {
  const names = tensorTable(spec).flatMap(({ name, kind }) => (kind === 'matrix' ? [name] : []));
  return { spec, steps: forwardSteps(spec), formats: new Map(names.map((name) => [name, format])) };
}

const plan = (spec: ModelSpec, more: Partial<PlanRequest> = {}, target: 'webgpu' | 'cpu' = 'webgpu'): MemoryPlan =>
  planMemory(modelOf(spec), request(more), DEFAULT_LIMITS, target);

/**
 * A model of these numbers, as published in config.json: layers, width, heads, kv heads, head size, MLP width,
 * vocabulary, context.
 */
const row = (
  model_type: string,
  L: number,
  d: number,
  H: number,
  KV: number,
  hd: number,
  ff: number,
  V: number,
  context: number,
  more = {},
) =>
  parseSpec({
    model_type,
    num_hidden_layers: L,
    hidden_size: d,
    num_attention_heads: H,
    num_key_value_heads: KV,
    head_dim: hd,
    intermediate_size: ff,
    vocab_size: V,
    max_position_embeddings: context,
    ...more,
  });

const GEMMA_7B = row('gemma', 28, 3072, 16, 16, 256, 24576, 256000, 8192);

describe('the KV formula', () => {
  // LitGPT issue 1558: bytes a token, and chat (full context of that time) less generate (281 tokens), GB; heads were
  // expanded then.
  it.each([
    ['Phi-3 mini', 32, 32, 96, 4096, 393_216, 1.5],
    ['TinyLlama', 22, 32, 64, 2048, 180_224, 0.318],
    ['Gemma-7B', 28, 16, 256, 4096, 458_752, 1.75],
    ['Gemma-2-9B', 42, 16, 256, 8192, 688_128, 5.444],
  ])('gives the maintainers their figure for %s', (_, layers, heads, headSize, context, perToken, gigabytes) => {
    const spec = row('llama', layers, heads * headSize, heads, heads, headSize, 64, 64, context);
    expect(2 * layers * kvBytes('f16', headSize, heads, 1)).toBe(perToken);
    const full = plan(spec, { kvCapacity: 'full' }).kv;
    const short = plan(spec, { promptTokens: 25, maxNewTokens: 256, kvCapacity: 281 }).kv;
    expect(full).toBe(perToken * context);
    expect(short).toBe(perToken * 281);
    expect((full - short) / 1e9).toBeCloseTo(gigabytes, 3);
  });

  it('takes 168 MiB for Gemma-7B at 128 + 257 tokens, and 3.5 GiB for its whole context', () => {
    const auto = plan(GEMMA_7B);
    expect(auto.kvByLayer.map(({ slots }) => slots)).toEqual(Array(28).fill(384));
    expect(auto.kv).toBe(168 * MIB);
    expect(auto.contextTokens).toBe(384);
    const full = plan(GEMMA_7B, { kvCapacity: 'full' });
    expect(full.kv).toBe(3.5 * GIB);
    expect(full.contextTokens).toBe(8192);
    expect(plan(GEMMA_7B, { kvType: 'f32' }).kv).toBe(336 * MIB);
    // A byte a value, and four a head of 256.
    expect(plan(GEMMA_7B, { kvType: 'int8' }).kv).toBe((84 + 84 / 64) * MIB);
  });

  // By hand: full context without rings, and 384 tokens, MiB.
  it.each<[string, ModelSpec, number, number]>([
    ['Gemma-2B', row('gemma', 18, 2048, 8, 1, 256, 16384, 256000, 8192), 144, 6.75],
    ['Llama-3.2-1B', row('llama', 16, 2048, 32, 8, 64, 8192, 128256, 131072), 4096, 12],
    ['Llama-3.1-8B', row('llama', 32, 4096, 32, 8, 128, 14336, 128256, 131072), 16384, 48],
    ['Qwen2.5-0.5B', row('qwen2', 24, 896, 14, 2, 64, 4864, 151936, 32768), 384, 4.5],
    ['Qwen2.5-7B', row('qwen2', 28, 3584, 28, 4, 128, 18944, 152064, 32768), 1792, 21],
    ['Qwen3-0.6B', row('qwen3', 28, 1024, 16, 8, 128, 3072, 151936, 40960), 4480, 42],
    ['SmolLM2-135M', row('llama', 30, 576, 9, 3, 64, 1536, 49152, 8192), 180, 8.4375],
    ['SmolLM2-360M', row('llama', 32, 960, 15, 5, 64, 2560, 49152, 8192), 320, 15],
    ['TinyLlama-1.1B', row('llama', 22, 2048, 32, 4, 64, 5632, 32000, 2048), 44, 8.25],
  ])('%s: as computed by hand', (_, spec, full, short) => {
    expect(plan(spec, { kvCapacity: 'full' }).kv).toBe(full * MIB);
    expect(plan(spec).kv).toBe(short * MIB);
  });

  // Write-then-attend needs W + chunk - 1, rounded up to 32.
  it.each<[string, ModelSpec, number, number, number]>([
    ['Gemma-2-2B', row('gemma2', 26, 2304, 8, 4, 256, 9216, 256000, 8192, { sliding_window: 4096 }), 4096, 13, 624],
    [
      'Gemma-3-270M',
      row('gemma3_text', 18, 640, 4, 1, 256, 2048, 262144, 32768, { sliding_window: 512 }),
      1024,
      15,
      103.5,
    ],
    [
      'Gemma-3-1B',
      row('gemma3_text', 26, 1152, 4, 1, 256, 6912, 262144, 32768, { sliding_window: 512 }),
      1024,
      22,
      139,
    ],
  ])('%s: rings of the window and a chunk', (_, spec, perSlot, sliding, table) => {
    const made = plan(spec, { kvCapacity: 'full' });
    const rings = made.kvByLayer.filter(({ kind }) => kind === 'sliding');
    expect(rings.length).toBe(sliding);
    const window = spec.layers[0].window!;
    for (const { slots } of rings) expect(slots).toBe(window + 128);
    expect(made.kv).toBe(table * MIB + sliding * 128 * perSlot);
    // No window binds at 384 tokens.
    expect(new Set(plan(spec).kvByLayer.map(({ slots }) => slots))).toEqual(new Set([384]));
    expect(plan(spec, { kvCapacity: 'full', chunk: 1 }).kv).toBe(table * MIB);
  });
});

const spec = row('mistral', 3, 64, 4, 2, 16, 128, 97, 500, {
  sliding_window: 40,
  layer_types: ['sliding_attention', 'full_attention', 'sliding_attention'],
});

describe('a plan', () => {
  const requests = fc.record({
    promptTokens: fc.integer({ min: 0, max: 200 }),
    maxNewTokens: fc.integer({ min: 1, max: 200 }),
    kvType: fc.constantFrom('f16' as const, 'f32' as const, 'int8' as const),
    kvCapacity: fc.constantFrom('auto' as const, 'full' as const, 400, 499),
    maxContext: fc.constantFrom(null, 400, 450),
    chunk: fc.integer({ min: 1, max: 200 }),
    budget: fc.constantFrom(null, 1, 1_000_000, 2 ** 40),
    snapshots: fc.nat({ max: 3 }),
  });
  it.each(['webgpu', 'cpu'] as const)(
    'adds up, names every buffer once, and holds what was asked for: %s',
    (target) => {
      fc.assert(
        fc.property(requests, (wanted) => {
          const made = plan(spec, wanted, target);
          const sum = (purpose: string) =>
            made.buffers.reduce((bytes, b) => bytes + (b.purpose === purpose ? b.bytes : 0), 0);
          expect(made).toMatchObject({
            weights: sum('weights'),
            kv: sum('kv'),
            scratch: sum('scratch'),
            staging: sum('staging'),
          });
          expect(made.total).toBe(made.weights + made.kv + made.scratch);
          expect(made.peak).toBe(made.weights + made.scratch + Math.max(made.staging, made.kv));
          expect(made.kv).toBe(made.kvByLayer.reduce((bytes, layer) => bytes + layer.bytes * (1 + layer.snapshots), 0));
          expect(new Set(made.buffers.map(({ name }) => name)).size).toBe(made.buffers.length);
          for (const { name, bytes } of made.buffers) {
            expect([name, bytes > 0, target === 'cpu' || bytes % 4]).toEqual([name, true, target === 'cpu' || 0]);
          }
          const need = Math.max(1, wanted.promptTokens + wanted.maxNewTokens - 1);
          expect(made.contextTokens).toBeGreaterThanOrEqual(need);
          made.kvByLayer.forEach(({ slots, kind, bytes, snapshots }, i) => {
            expect(snapshots).toBe(slots < made.contextTokens ? wanted.snapshots : 0);
            const window = spec.layers[i].window ?? Number.POSITIVE_INFINITY;
            expect(slots).toBeGreaterThanOrEqual(kind === 'global' ? need : Math.min(need, window + wanted.chunk - 1));
            expect(bytes).toBe(2 * kvBytes(wanted.kvType, spec.headSize, spec.kvHeads, slots));
          });
          expect(made.fits).toBe(wanted.budget === null || made.peak <= wanted.budget);
        }),
      );
    },
  );

  it('counts the weights: n / 2 bytes of codes and a scale for 64, a tied table once', () => {
    const tied = plan(row('gemma', 2, 128, 2, 1, 64, 192, 320, 512));
    const untied = plan(row('gemma', 2, 128, 2, 1, 64, 192, 320, 512, { tie_word_embeddings: false }));
    const nf4 = (n: number) => n / 2 + (4 * n) / 64;
    const elements = 320 * 128 + 2 * (128 * 256 + 128 * 128 + 3 * 128 * 192);
    const norms = 5 * 128 * 4;
    expect(tied.weights).toBe(nf4(elements) + norms);
    expect(untied.weights - tied.weights).toBe(nf4(320 * 128));
  });

  it('is the same for a model that cannot be cut otherwise, whatever the device binds', () => {
    const small = planMemory(
      modelOf(spec),
      request({ promptTokens: 1, maxNewTokens: 10 }),
      { maxBufferSize: 2048, maxStorageBufferBindingSize: 1024 },
      'webgpu',
    );
    const large = plan(spec, { promptTokens: 1, maxNewTokens: 10 });
    expect(small.matrices.length).toBeGreaterThan(large.matrices.length);
    expect(small.matrices.every(({ bytes }) => bytes.codes <= 1024)).toBe(true);
    expect(small.weights).toBe(large.weights);
  });

  it('cuts a cache that exceeds what the device binds by heads, at the same bytes', () => {
    const spec = row('llama', 32, 4096, 32, 8, 128, 14336, 128256, 131072);
    const made = plan(spec, { kvCapacity: 'full' });
    expect(made.fits).toBe(true);
    expect(made.kv).toBe(16 * GIB);
    const [{ parts }] = made.kvByLayer;
    expect(parts).toEqual([0, 4].map((firstHead) => ({ firstHead, heads: 4, bytes: 128 * MIB })));
    expect(made.buffers.filter(({ name }) => name.startsWith('kv.5.')).map(({ name }) => name)).toEqual([
      'kv.5.k.0',
      'kv.5.v.0',
      'kv.5.k.1',
      'kv.5.v.1',
    ]);
    expect(plan(spec, { kvCapacity: 'full' }, 'cpu').kvByLayer[0].parts).toHaveLength(1);
  });

  it('does not fit where one head exceeds what the device binds, and says which', () => {
    const made = plan(row('llama', 2, 4096, 32, 8, 128, 14336, 128256, 1 << 20), { kvCapacity: 'full' });
    expect(made.fits).toBe(false);
    expect(made.tooLarge).toEqual({
      name: expect.stringMatching(/^kv\.\d+\.[kv]\.\d$/),
      bytes: 2 ** 28,
      limit: 2 ** 27,
    });
  });
});

describe('what is refused', () => {
  it.each<[keyof PlanRequest, number]>([
    ['promptTokens', -1],
    ['promptTokens', 1.5],
    ['promptTokens', Number.NaN],
    ['maxNewTokens', 0],
    ['maxNewTokens', Number.POSITIVE_INFINITY],
    ['maxContext', 0],
    ['chunk', 0],
    ['chunk', 2 ** 60],
    ['kvCapacity', 0],
    ['kvCapacity', 2.5],
    ['budget', 0],
    ['budget', -5],
    ['snapshots', -1],
    ['snapshots', 65],
    ['snapshots', 2 ** 50],
  ])('%s of %d', (name, value) => {
    expect(() => plan(spec, { [name]: value })).toThrow(
      expect.objectContaining({ code: 'invalid-option', details: { name, value } }),
    );
  });

  it.each<[string, Partial<PlanRequest>, number]>([
    ['the context', { promptTokens: 400, maxNewTokens: 102 }, 500],
    ['maxContext', { promptTokens: 90, maxNewTokens: 12, maxContext: 100 }, 100],
    ['a fixed capacity', { promptTokens: 40, maxNewTokens: 12, kvCapacity: 50 }, 50],
  ])('more than %s, with the numbers; one token fewer is planned', (_, wanted, capacity) => {
    const { promptTokens, maxNewTokens } = wanted as PlanRequest;
    const need = promptTokens + maxNewTokens - 1;
    expect(() => plan(spec, wanted)).toThrow(
      expect.objectContaining({
        code: 'context-overflow',
        details: { promptTokens, maxNewTokens, need, capacity, contextLength: 500 },
      }),
    );
    expect(need - 1).toBe(capacity);
    expect(plan(spec, { ...wanted, maxNewTokens: maxNewTokens - 1 }).contextTokens).toBeGreaterThanOrEqual(capacity);
  });
});

it('activations of int8 take a buffer of the widest input, a byte and a half a column of a chunk, and room to be tried', () => {
  const [plain, int8] = [plan(GEMMA_7B), plan(GEMMA_7B, { int8: true })];
  expect(int8.scratch - plain.scratch).toBe(128 * 24576 * 1.5);
  expect(int8.staging - plain.staging).toBe(48 << 10);
  expect(plan(GEMMA_7B, { int8: true }, 'cpu').total).toBe(plan(GEMMA_7B, {}, 'cpu').total);
});
