import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type MatrixFormat, NF4_CODEBOOK } from '../formats/matrix';
import { forwardSteps, tensorTable } from '../model/decoder';
import { parseSpec } from '../model/parse';
import type { PlanChange, PlanOffer } from '../protocol';
import {
  DEFAULT_LIMITS,
  type MemoryPlan,
  type ModelGraph,
  NO_LIMITS,
  type PlanLimits,
  type PlanRequest,
  planMemory,
} from './plan';
import { shortfall, suggest } from './suggestions';

const NF4: MatrixFormat = { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK };
const spec = parseSpec({
  model_type: 'mistral',
  hidden_size: 128,
  intermediate_size: 192,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 32,
  vocab_size: 320,
  max_position_embeddings: 65536,
  sliding_window: 100,
  layer_types: ['sliding_attention', 'full_attention', 'full_attention'],
  tie_word_embeddings: false,
});

/** @param wide parts of the names of what has 16 bits */
function modelOf(wide: readonly string[]): ModelGraph {
  const names = tensorTable(spec).flatMap(({ name, kind }) => (kind === 'matrix' ? [name] : []));
  const formatOf = (name: string): MatrixFormat => (wide.some((part) => name.includes(part)) ? { type: 'f16' } : NF4);
  return { spec, steps: forwardSteps(spec), formats: new Map(names.map((name) => [name, formatOf(name)])) };
}

interface Asked {
  more: Partial<PlanRequest>;
  wide: readonly string[];
  /** null: the CPU, which has none, and where uploading takes nothing that would hide the rest */
  limits: PlanLimits | null;
}

function made(asked: Asked, { kv, weights, ...numbers }: PlanChange = {}): MemoryPlan {
  const request: PlanRequest = {
    promptTokens: 300,
    maxNewTokens: 700,
    kvType: 'f32',
    kvCapacity: 'auto',
    maxContext: null,
    chunk: 128,
    budget: null,
    snapshots: 0,
    ...asked.more,
    ...numbers,
  };
  const changed = { ...request, kvType: kv ?? request.kvType };
  const { wide, limits } = asked;
  return planMemory(modelOf(weights ? [] : wide), changed, limits ?? NO_LIMITS, limits ? 'webgpu' : 'cpu');
}

const offersOf = (asked: Asked) => suggest(made(asked), (change) => made(asked, change));
const asked = (more: Partial<PlanRequest>, wide: readonly string[] = [], limits: PlanLimits | null = null) => ({
  more,
  wide,
  limits,
});
const find = (offers: PlanOffer[], kind: PlanOffer['kind']) => offers.find((offer) => offer.kind === kind);

/** As large as an upload takes. */
const SMALL = { maxBufferSize: 2 ** 22, maxStorageBufferBindingSize: 2 ** 22 };

/** What asking for everything takes, and how it comes apart. */
const whole = made(asked({}));

describe('offers', () => {
  const requests = fc.record({
    promptTokens: fc.integer({ min: 1, max: 2000 }),
    maxNewTokens: fc.integer({ min: 1, max: 2000 }),
    kvType: fc.constantFrom('f16' as const, 'f32' as const),
    kvCapacity: fc.constantFrom('auto' as const, 'full' as const, 20_000),
    chunk: fc.constantFrom(16, 100, 128, 512),
    budget: fc.integer({ min: 1, max: 12_000_000 }),
  });
  const wide = fc.constantFrom([], ['embed'], ['proj'], ['']);
  const binding = fc.constantFrom(null, null, DEFAULT_LIMITS, SMALL);
  it('are true: what is offered fits, with that total', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(requests, wide, binding, (more, parts, limits) => {
        const one = asked(more, parts, limits);
        fc.pre(!made(one).fits);
        const offers = offersOf(one);
        expect(offers.at(-1)!.kind).toBe('smaller-model');
        for (const { kind, change, total, text } of offers.slice(0, -1)) {
          const better = made(one, change);
          expect([kind, better.fits, better.total]).toEqual([kind, true, total]);
          expect(text).toMatch(/\d/);
          seen.add(kind);
        }
      }),
      // one of every kind comes up with these
      { numRuns: 400, seed: 3 },
    );
    expect([...seen].sort()).toEqual(['chunk', 'kv', 'kv-capacity', 'new-tokens', 'prompt', 'together', 'weights']);
  });

  it('of fewer new tokens and of a shorter prompt are the most that fits: one token more does not', () => {
    fc.assert(
      fc.property(requests, (more) => {
        const one = asked(more);
        fc.pre(!made(one).fits);
        for (const { kind, change } of offersOf(one)) {
          if (kind === 'new-tokens') {
            expect(made(one, { maxNewTokens: change.maxNewTokens! + 1 }).fits).toBe(false);
          }
          if (kind === 'prompt') expect(made(one, { promptTokens: change.promptTokens! + 1 }).fits).toBe(false);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('together have no part that they fit without', () => {
    const one = asked({ kvCapacity: 'full', budget: whole.peak - whole.kv + 100_000 });
    const { change } = find(offersOf(one), 'together')!;
    expect(Object.keys(change).length).toBeGreaterThan(1);
    for (const name of Object.keys(change)) {
      const rest = Object.fromEntries(Object.entries(change).filter(([other]) => other !== name));
      expect([name, made(one, rest).fits]).toEqual([name, false]);
    }
  });

  it('come best first', () => {
    const wide = ['embed', 'lm_head'];
    const little = made(asked({ maxNewTokens: 1, promptTokens: 1 }, wide));
    const offers = offersOf(asked({ budget: little.peak + 2_000_000, kvCapacity: 'full', promptTokens: 100 }, wide));
    expect(offers[0].kind).toBe('kv-capacity');
    const copies = asked({ snapshots: 3, budget: made(asked({ snapshots: 3 })).peak - 1000 });
    expect(offersOf(copies)[0]).toMatchObject({ kind: 'snapshots', change: { snapshots: 0 }, total: whole.total });
    const auto = offersOf(asked({ budget: made(asked({}, wide)).peak - 40_000 }, wide)).map(({ kind }) => kind);
    expect(auto).toEqual(['new-tokens', 'kv', 'kv', 'chunk', 'weights', 'smaller-model']);
  });

  it('say what is wide: the embedding, or more', () => {
    const text = (wide: string[]) =>
      find(offersOf(asked({ budget: made(asked({}, wide)).peak - 10_000 }, wide)), 'weights')!.text;
    expect(text(['embed', 'lm_head'])).toContain('4-bit embedding');
    expect(text(['mlp'])).toContain('4-bit weights');
    expect(find(offersOf(asked({ budget: whole.peak - 10_000 })), 'weights')).toBeUndefined();
  });

  it('of a smaller model say how large its weights may be', () => {
    const budget = whole.peak - 1;
    const { text, total } = find(offersOf(asked({ budget })), 'smaller-model')!;
    expect(total).toBe(whole.total - 1);
    const most = ((whole.weights - 1) / 2 ** 20).toFixed(1);
    expect(text).toContain(`weights of at most ${most} MiB`);
    expect(find(offersOf(asked({ budget: 100 })), 'smaller-model')!.text).toMatch(/alone take \d+\.\d MiB: allow \d/);
  });

  it('help where one head of a cache is larger than the device binds', () => {
    const one = asked({ promptTokens: 32_500 }, [], SMALL);
    expect(made(one).tooLarge).toEqual({ name: 'kv.1.k.0', bytes: 33_216 * 128, limit: 2 ** 22 });
    expect(shortfall(made(one))).toMatch(
      /The buffer kv\.1\.k\.0 would take 4251648 bytes, and this device binds 4194304/,
    );
    const offers = offersOf(one);
    expect(offers.map(({ kind }) => kind)).toEqual(['new-tokens', 'kv', 'kv', 'smaller-model']);
    expect(offers[0].change).toEqual({ maxNewTokens: 269 });
  });
});

it('what is missing is said with both numbers', () => {
  expect(shortfall(made(asked({ budget: 2 ** 20 })))).toBe(
    `This needs ${(whole.peak / 2 ** 20).toFixed(1)} MiB and the budget is 1.0 MiB.`,
  );
});
