/**
 * For tests: conversations of random turns, held by one engine's parts and compared token by token with a fresh prefill
 * of everything: whatever the caches reused, grew, wrapped, took back or lost in between.
 */
import fc from 'fast-check';
import { expect } from 'vitest';
import { NibbleError } from '../../errors';
import { allLogits, type Maker, planOf, randomModel, TOLERANCE } from '../../execute/cpu/test/models';
import type { Executor } from '../../execute/executor';
import { growthPeak } from '../../memory/growth';
import type { KvType } from '../../memory/kv';
import { parseSpec } from '../../model/parse';
import type { ModelSpec } from '../../model/spec';
import { type Turn as AnswerTurn, generate } from '../generate';
import { effectiveOptions } from '../sampling-options';
import { Sequences } from '../sequences';

const VOCAB = 97;

/** Local and global layers, soft caps on attention and logits. */
export const capped = (window: number): ModelSpec =>
  parseSpec({
    model_type: 'gemma2',
    hidden_size: 64,
    intermediate_size: 96,
    num_hidden_layers: 3,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 16,
    vocab_size: VOCAB,
    max_position_embeddings: 300,
    sliding_window: window,
    layer_types: ['sliding_attention', 'full_attention', 'sliding_attention'],
    attn_logit_softcapping: 5,
    final_logit_softcapping: 3,
    query_pre_attn_scalar: 16,
  });

export interface Turn {
  talk: number;
  /** how much of what was said so far stays: from 0 (nothing, another beginning) to 4 (all); 5: all but the answer */
  keep: number;
  add: number;
  newTokens: number;
  /** the conversation is closed first */
  close: boolean;
}

export const script = (turns: number) =>
  fc.record({
    window: fc.integer({ min: 1, max: 24 }),
    chunk: fc.integer({ min: 1, max: 16 }),
    kv: fc.constantFrom<Extract<KvType, 'f32' | 'f16'>>('f32', 'f16'),
    /** of the caches together, over what the largest one takes alone: 0 evicts at every change, 4 never */
    room: fc.nat({ max: 4 }),
    /** no budget says so, the device is full */
    full: fc.boolean(),
    snapshots: fc.nat({ max: 2 }),
    seed: fc.nat({ max: 1000 }),
    turns: fc.array(
      fc.record({
        talk: fc.nat({ max: 2 }),
        keep: fc.nat({ max: 5 }),
        add: fc.integer({ min: 1, max: 40 }),
        newTokens: fc.integer({ min: 1, max: 8 }),
        close: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
      }),
      { minLength: 2, maxLength: turns },
    ),
  });

/** One conversation whose rings wrap soon; its first question is asked again, later ones often, or edited. */
export const again = (turns: number) =>
  script(turns).map((one) => ({
    ...one,
    // rings of 32 slots, the least there are, which so can be taken back three tokens
    window: 29,
    chunk: 4,
    snapshots: 1 + (one.snapshots % 2),
    room: 4,
    turns: one.turns.map((turn, i) => ({
      ...turn,
      talk: 0,
      close: false,
      keep: i === 1 ? 5 : 2 + (turn.keep % 4),
      add: i === 0 ? 40 : turn.add,
      newTokens: i === 0 ? 8 : turn.newTokens,
    })),
  }));

type Script = ReturnType<typeof script> extends fc.Arbitrary<infer S> ? S : never;

/** A conversation that grows where there is no room for the old ring beside the new one. */
export const CRAMPED: Script = {
  window: 11,
  chunk: 4,
  kv: 'f32',
  room: 0,
  full: false,
  snapshots: 0,
  seed: 1,
  turns: [0, 4].map((keep) => ({ talk: 0, keep, add: 40, newTokens: 8, close: false })),
};

/** Two conversations that have room beside each other without snapshots only. @param full see script() */
export const spared = (full: boolean): Script => ({
  ...CRAMPED,
  room: 1,
  full,
  snapshots: 1,
  turns: [0, 1, 0].map((talk, i) => ({
    talk,
    keep: i === 2 ? 5 : 0,
    add: i === 2 ? 1 : 40,
    newTokens: 8,
    close: false,
  })),
});

/** What the scripts have met, so that a test can say that it tested something. */
export interface Met {
  tokens: number;
  reused: number;
  /** of those, from a copy of the rings */
  restored: number;
  afresh: number;
  notes: number;
  /** reservations without the snapshots that were asked for */
  spared: number;
}

export const nothingMet = (): Met => ({ tokens: 0, reused: 0, restored: 0, afresh: 0, notes: 0, spared: 0 });

const MOST = 200;

/** @param before tokens of the prompt and the answer before */
const keptOf = ({ keep }: Turn, [prompt, answer]: readonly [number, number]): number =>
  keep === 5 ? prompt : Math.floor(((prompt + answer) * keep) / 4);

/** Tokens of the longest prompt of a script. */
function longest(turns: readonly Turn[]): number {
  const said = new Map<number, readonly [number, number]>();
  let most = 0;
  for (const turn of turns) {
    const tokens = Math.min(MOST, keptOf(turn, said.get(turn.talk) ?? [0, 0]) + turn.add);
    said.set(turn.talk, [tokens, turn.newTokens]);
    most = Math.max(most, tokens);
  }
  return most;
}

/** The caches of an executor on a device that has room for so many bytes of them. */
function fullAt(room: number, executor: Executor): Pick<Executor, 'createCache'> {
  return {
    createCache() {
      const cache = executor.createCache();
      const reserve = cache.reserve.bind(cache);
      cache.reserve = async (plan) => {
        const others = executor.memory().kv - cache.bytes;
        if (others + growthPeak(cache.layerBytes, plan.kvByLayer) > room)
          throw new NibbleError('out-of-memory', 'full');
        await reserve(plan);
      };
      return cache;
    },
  };
}

/** Runs a script; every token must be a greedy choice of a fresh prefill, within twice the tolerance. */
export async function expectFresh(maker: Maker, script: Script, met: Met) {
  const { window, chunk, kv, room, full, snapshots, seed, turns } = script;
  const spec = capped(window);
  const size = { chunk, kvType: kv, promptTokens: MOST, maxNewTokens: 8, snapshots };
  const held = await randomModel(spec, size, undefined, maker);
  const fresh = await randomModel(spec, size, undefined, maker);
  try {
    const { executor } = held;
    held.cache.dispose();
    const largest = planOf(spec, { ...size, promptTokens: longest(turns) }, undefined, maker.target);
    const kvRoom = largest.kv + Math.floor((largest.kv * room) / 2);
    const budget = full ? null : largest.weights + largest.scratch + kvRoom;
    const talks = new Sequences(full ? fullAt(kvRoom, executor) : executor, spec);
    const said = new Map<number, number[]>();
    const answers = new Map<number, number>();
    for (const [i, one] of turns.entries()) {
      const { talk, add, newTokens, close } = one;
      if (close) talks.close(talk);
      const before = said.get(talk) ?? [];
      const answer = answers.get(talk) ?? 0;
      const kept = before.slice(0, keptOf(one, [before.length - answer, answer]));
      const ids = [...kept, ...Array.from({ length: add }, (_, n) => (seed + i * 31 + n * n * 7) % VOCAB)].slice(
        0,
        200,
      );
      const planFor = (maxNewTokens: number, snapshots = size.snapshots) =>
        planOf(spec, { ...size, promptTokens: ids.length, maxNewTokens, budget, snapshots }, undefined, maker.target);
      const { sequence, note } = await talks.reserve(talk, newTokens, planFor);
      const { cache } = sequence;
      const shared = sequence.ids.findIndex((id, at) => id !== ids[at]);
      const direct = cache.held.canResume(Math.min(shared < 0 ? sequence.ids.length : shared, ids.length - 1));
      const { request } = sequence.plan!;
      const [bare, whole] = [0, snapshots].map(
        (copies) => planOf(spec, { ...request, snapshots: copies }, undefined, maker.target).kv,
      );
      expect([bare, whole]).toContain(cache.bytes);
      if (cache.bytes < whole) met.spared++;
      const turn: AnswerTurn = {
        ids,
        made: [],
        window: null,
        shift: async () => false,
        options: effectiveOptions({ maxNewTokens: newTokens, temperature: 0, seed, ignoreEos: true }, null, newTokens),
        stopIds: new Set(),
        text: null,
        startedAt: 0,
      };
      const answering = generate(executor, sequence, turn);
      let step = await answering.next();
      while (!step.done) step = await answering.next();
      const { ids: made, stats } = step.value;
      expect(made).toHaveLength(newTokens);
      if (note) met.notes++;
      if (stats.reusedTokens > 0) met.reused++;
      if (stats.reusedTokens > 0 && !direct) met.restored++;
      else if (before.length > 0) met.afresh++;

      const rows = await allLogits(fresh, [...ids, ...made.slice(0, -1)]);
      for (const [at, id] of made.entries()) {
        const row = rows[ids.length - 1 + at];
        const scale = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        const best = row.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
        expect(best - row[id]).toBeLessThanOrEqual(2 * TOLERANCE[kv] * scale);
        met.tokens++;
      }
      said.set(talk, [...ids, ...made]);
      answers.set(talk, made.length);
    }
  } finally {
    held.dispose();
    fresh.dispose();
  }
}
