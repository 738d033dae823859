/** Many turns of several conversations on WebGPU: what was planned, what the ledger says and what a wrapper saw. */
import { expect, it } from 'vitest';
import { sharedGpu } from '../gpu/test-device';
import { createSession } from './session';
import { countingGpu } from './test/counting-gpu';
import { host, load, SMALL } from './test/tiny';

let request = 50_000;

/** The tiny model's vocabulary. */
const VOCAB = 300;

it('fifty turns: every peak and every rest is the plan to the byte, and the end is the start', async () => {
  const { gpu: counting, seen } = countingGpu(sharedGpu);
  const session = createSession(host({ gpu: counting }));
  const { contextLength } = (await load(session, SMALL)).info;
  const start = seen.now;
  const said = new Map<number, number[]>();
  const counts = { opened: 0, grew: 0, stayed: 0, closed: 0 };
  for (let turn = 0; turn < 50; turn++) {
    const conversation = [1, 1, 2, 1, 3][turn % 5];
    if (turn % 17 === 16) {
      const { kv } = await session.memory();
      await session.close(conversation);
      said.delete(conversation);
      expect(seen.now).toBe((await session.memory()).total);
      if ((await session.memory()).kv < kv) counts.closed++;
    }
    const before = said.get(conversation) ?? [];
    const more = Array.from({ length: 1 + ((turn * 37) % 23) }, (_, i) => (turn * 101 + i * 7) % VOCAB);
    const ids = [...(before.length + 40 > contextLength ? [] : before), ...more];
    const maxNewTokens = 1 + (turn % 4);
    const plan = await session.plan({ conversation, promptTokens: ids.length, maxNewTokens });
    const { kv: held, conversations } = await session.memory();
    seen.peak = seen.now;
    const { memory, ids: made } = await session.generate(
      { id: ++request, conversation, input: { ids }, options: { maxNewTokens, temperature: 0, ignoreEos: true } },
      { postMessage: () => {} },
    );
    said.set(conversation, [...ids, ...made]);
    expect(seen.now).toBe(memory.total);
    expect(seen.now).toBe(start + memory.kv);
    expect(seen.peak).toBe(plan.peakNow);
    counts[memory.conversations > conversations ? 'opened' : memory.kv > held ? 'grew' : 'stayed']++;
  }
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(1);
  for (const conversation of [1, 2, 3]) await session.close(conversation);
  expect(seen.now).toBe(start);
  await session.dispose();
  expect(seen.now).toBe(0);
});

it('prompts normal, longer, shorter, medium: one allocation, one growth, nothing, nothing', async () => {
  const { gpu: counting, seen } = countingGpu(sharedGpu);
  const session = createSession(host({ gpu: counting }));
  await load(session, SMALL);
  const sizes: number[] = [];
  for (const tokens of [60, 200, 10, 130]) {
    const ids = Array.from({ length: tokens }, (_, i) => (i * 7 + tokens) % VOCAB);
    const input = { id: ++request, input: { ids }, options: { maxNewTokens: 3, ignoreEos: true } };
    await session.generate(input, { postMessage: () => {} });
    sizes.push(seen.now);
  }
  expect(sizes[1]).toBeGreaterThan(sizes[0]);
  expect(sizes.slice(2)).toEqual([sizes[1], sizes[1]]);
  await session.dispose();
});
