import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import { planOf } from '../execute/cpu/test/models';
import type { KvCache } from '../execute/executor';
import { tiny } from '../execute/gpu/test/maker';
import type { MemoryPlan } from '../memory/plan';
import { Rings } from '../memory/rings';
import { emptySequence, reuse, Sequences } from './sequences';

const spec = tiny();

/** Caches that take bytes of one device with so much room, a layer at a time, and write nothing. */
class FakeDevice {
  taken = 0;
  peak = 0;
  made = 0;
  constructor(readonly room = Number.POSITIVE_INFINITY) {}

  createCache(): KvCache {
    this.made++;
    const device = this;
    const rings: number[] = spec.layers.map(() => 0);
    const copies: number[] = spec.layers.map(() => 0);
    const held = new Rings(spec);
    const free = (bytes: number) => {
      device.taken -= bytes;
    };
    return {
      get bytes() {
        return this.layerBytes.reduce((sum, bytes) => sum + bytes, 0);
      },
      get layerBytes() {
        return rings.map((bytes, layer) => bytes + copies[layer]);
      },
      held,
      rewind: (position) => (held.canResume(position) ? position : 0),
      snapshot: () => {},
      dropSnapshots() {
        for (const bytes of copies) free(bytes);
        copies.fill(0);
      },
      read: async () => new Uint8Array(),
      write: async () => {},
      take: () => {},
      shift: async () => {},
      async reserve(plan) {
        const take = (bytes: number) => {
          if (device.taken + bytes > device.room) throw new NibbleError('out-of-memory', 'full');
          device.taken += bytes;
          device.peak = Math.max(device.peak, device.taken);
        };
        for (const { layer, bytes, snapshots } of plan.kvByLayer) {
          if (bytes > rings[layer]) {
            take(bytes);
            free(rings[layer]);
            rings[layer] = bytes;
          }
          if (copies[layer] > 0) continue;
          take(snapshots * bytes);
          copies[layer] = snapshots * bytes;
        }
      },
      dispose() {
        free(this.bytes);
        for (const held of [rings, copies]) held.fill(0);
      },
    };
  }
}

/** The plan for a prompt and an answer under a budget; sizes from a real model's geometry. */
const planner =
  (promptTokens: number, budget: number | null = null, snapshots = 0) =>
  (maxNewTokens: number, spared = snapshots): MemoryPlan =>
    planOf(spec, { promptTokens, maxNewTokens, budget, chunk: 8, snapshots: spared });

describe('Sequences', () => {
  it('gives prompts normal, longer, shorter and medium one allocation, one growth, nothing and nothing', async () => {
    const device = new FakeDevice();
    const talks = new Sequences(device, spec);
    const sizes: number[] = [];
    for (const tokens of [60, 150, 10, 90]) {
      await talks.reserve(0, 20, planner(tokens));
      sizes.push(device.taken);
    }
    expect(device.made).toBe(1);
    expect(sizes[1]).toBeGreaterThan(sizes[0]);
    expect(sizes.slice(2)).toEqual([sizes[1], sizes[1]]);
  });

  it('says the peak of a request beforehand, whatever is held, and stays within the budget to the byte', async () => {
    const request = fc.record({
      id: fc.nat({ max: 3 }),
      prompt: fc.integer({ min: 1, max: 200 }),
      close: fc.boolean(),
    });
    let evicted = 0;
    let renewed = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { maxLength: 25 }),
        fc.nat(),
        fc.nat({ max: 2 }),
        async (script, extra, snapshots) => {
          const { weights, scratch, kv } = planner(200, null, snapshots)(50);
          const budget = weights + scratch + kv + (extra % (2 * kv));
          const device = new FakeDevice();
          const talks = new Sequences(device, spec);
          for (const { id, prompt, close } of script) {
            if (close) talks.close(id);
            const plan = planner(prompt, budget, snapshots)(50);
            const said = talks.peak(id, plan);
            const before = device.made;
            device.peak = device.taken;
            const { sequence, note } = await talks.reserve(id, 50, planner(prompt, budget, snapshots));
            if (said <= budget) expect(weights + scratch + device.peak).toBe(said);
            expect(weights + scratch + device.peak).toBeLessThanOrEqual(budget);
            const least = note?.includes('snapshots') ? planner(prompt)(50) : plan;
            expect(sequence.cache.bytes).toBeGreaterThanOrEqual(least.kv);
            expect(talks.latest).toBe(sequence);
            if (note?.includes('no room to grow')) renewed++;
            if (said > budget && device.made === before) evicted++;
          }
          for (const id of [0, 1, 2, 3]) talks.close(id);
          expect(device.taken).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
    expect(evicted).toBeGreaterThan(20);
    expect(renewed).toBeGreaterThan(5);
  });

  it('lets the one used longest ago go first', async () => {
    const { weights, scratch, kv } = planner(10)(20);
    const device = new FakeDevice();
    const talks = new Sequences(device, spec);
    const ask = (id: number) => talks.reserve(id, 20, planner(10, weights + scratch + 2 * kv));
    (await ask(1)).sequence.ids = [1];
    (await ask(2)).sequence.ids = [2];
    await ask(1);
    await ask(3);
    expect((await ask(1)).sequence.ids).toEqual([1]);
    expect((await ask(2)).sequence.ids).toEqual([]);
  });

  it('keeps eight without a budget', async () => {
    const device = new FakeDevice();
    const talks = new Sequences(device, spec);
    for (let id = 0; id < 20; id++) await talks.reserve(id, 5, planner(10));
    expect(talks.count).toBe(8);
    expect(device.taken).toBe(8 * planner(10)(5).kv);
  });

  it('steps down when the device is full: others, its own, a shorter answer', async () => {
    const { kv } = planner(100)(60);
    const device = new FakeDevice(kv);
    const talks = new Sequences(device, spec);
    await talks.reserve(1, 5, planner(20));
    expect((await talks.reserve(2, 60, planner(100))).note).toBe(null);
    expect(talks.count).toBe(1);

    const tight = new FakeDevice(kv);
    const two = new Sequences(tight, spec);
    const first = await two.reserve(1, 5, planner(60));
    first.sequence.ids = [1, 2, 3];
    const grown = await two.reserve(1, 60, planner(100));
    expect(grown.sequence.ids).toEqual([]);
    expect(grown.note).toMatch(/computed again/);

    const shorter = await two.reserve(1, 140, planner(100));
    expect(shorter.newTokens).toBeLessThan(140);
    expect(shorter.newTokens).toBeGreaterThanOrEqual(35);
    expect(tight.taken).toBeLessThanOrEqual(kv);
  });

  it.each([
    ['the budget', true],
    ['the device', false],
  ])('gives up snapshots before any cache where %s has no room, and says so', async (_, budgeted) => {
    const { weights, scratch, kv } = planner(100, null, 1)(20);
    const bare = planner(100)(20).kv;
    expect(bare).toBeLessThan(kv);
    const device = new FakeDevice(budgeted ? undefined : 2 * bare);
    const talks = new Sequences(device, spec);
    const ask = (id: number) => talks.reserve(id, 20, planner(100, budgeted ? weights + scratch + 2 * bare : null, 1));
    const first = await ask(1);
    first.sequence.ids = [1, 2];
    expect([first.note, device.taken]).toEqual([null, kv]);
    const second = await ask(2);
    expect(second.note).toMatch(/^There was no room for snapshots/);
    expect([device.taken, talks.count]).toEqual([2 * bare, 2]);
    expect((await ask(1)).sequence.ids).toEqual([1, 2]);
    expect((await ask(3)).note).toMatch(/^There was no room for snapshots/);
    expect([device.taken, talks.count]).toEqual([2 * bare, 2]);
    const alone = new Sequences(device, spec);
    talks.shrink(0);
    talks.close(3);
    await alone.reserve(1, 20, planner(100, null, 1));
    expect([alone.shrink(bare), device.taken]).toEqual([true, bare]);
  });

  it('fails when not even one new token has room, and answers the next request', async () => {
    const device = new FakeDevice(planner(30)(1).kv);
    const talks = new Sequences(device, spec);
    await expect(talks.reserve(1, 50, planner(150))).rejects.toMatchObject({ code: 'out-of-memory' });
    expect((await talks.reserve(1, 1, planner(30))).newTokens).toBe(1);
  });
});

describe('reuse', () => {
  const cache = (resumes: (position: number) => boolean) =>
    ({ rewind: (n: number) => (resumes(n) ? n : 0) }) as unknown as KvCache;
  const reusable = (resumes: (position: number) => boolean, ids: number[]) =>
    reuse({ ...emptySequence(cache(resumes)), ids: [5, 6, 7, 8] }, ids, 0, 0, async () => false);

  it('is of the longest common prefix without the last id', async () => {
    const anywhere = () => true;
    expect(await reusable(anywhere, [5, 6, 9, 9])).toBe(2);
    expect(await reusable(anywhere, [5, 6, 7, 8])).toBe(3);
    expect(await reusable(anywhere, [5, 6, 7, 8, 9])).toBe(4);
    expect(await reusable(anywhere, [9])).toBe(0);
  });

  it('is of nothing where the rings cannot be taken back', async () => {
    const end = (position: number) => position === 4;
    expect(await reusable(end, [5, 6, 7, 8, 9])).toBe(4);
    expect(await reusable(end, [5, 6, 7, 9])).toBe(0);
  });
});
