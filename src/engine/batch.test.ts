/** Several answers at once, over a MessageChannel instead of a Worker. */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { GenerateResult } from '../protocol';
import { type Engine, load } from '.';
import type { BatchOptions } from './answer';
import { sessionWorkers } from './test/session-worker';

const FOLDER = 'reference/fixtures/tiny-llama-128/nf4';
let engine: Engine;
beforeAll(async () => {
  const files = readdirSync(FOLDER).map((name) => new File([readFileSync(`${FOLDER}/${name}`)], name));
  engine = await load(files, { createWorker: sessionWorkers(), chunk: 32 });
});
afterAll(() => engine.dispose());

const QUESTION = [{ role: 'user', content: 'Hello, who are you?' }] as const;

it('of each input, in their order, are those that come alone; texts, ids and messages', async () => {
  const options = { maxNewTokens: 9, temperature: 1, seed: 5, ignoreEos: true } as const;
  const inputs = ['Once upon a time', QUESTION, [1, 2, 3, 4], 'Once upon'];
  const found = await Promise.all(engine.batch(inputs, { ...options, n: 2, parallel: 3 }).map((one) => one.result));
  const alone: GenerateResult[] = [];
  for (const seed of [5, 6]) {
    alone.push(await engine.generate('Once upon a time', { ...options, seed }).result);
    alone.push(await engine.chat(QUESTION, { ...options, seed }).result);
    alone.push(await engine.generate([1, 2, 3, 4], { ...options, seed }).result);
    alone.push(await engine.generate('Once upon', { ...options, seed }).result);
  }
  const [first, second] = [alone.slice(0, 4), alone.slice(4)];
  expect(found.map(({ ids }) => ids)).toEqual(first.flatMap(({ ids }, i) => [ids, second[i].ids]));
  expect(found.map((one) => one.options?.seed)).toEqual([5, 6, 5, 6, 5, 6, 5, 6]);
});

it('stream side by side; one that is left, and one that is refused, leave the others', async () => {
  // so long that a stop comes in time
  const wanted = { maxNewTokens: 200, ignoreEos: true } as const;
  const [left, heard, refused, last] = engine.batch(
    ['One', 'Two', 7 as unknown as string, [{ role: 'user', content: 'Four' }]],
    wanted,
  );
  const order: string[] = [];
  const listen = async (name: string, answer: AsyncIterable<string>, most: number) => {
    let pieces = 0;
    for await (const _ of answer) {
      order.push(name);
      if (++pieces === most) break;
    }
  };
  await Promise.all([listen('left', left, 2), listen('heard', heard, 999), listen('last', last, 999)]);
  expect((await left.result).finish).toBe('aborted');
  await expect(refused.result).rejects.toMatchObject({ code: 'invalid-option' });
  expect((await heard.result).ids).toEqual((await engine.generate('Two', wanted).result).ids);
  expect((await last.result).finish).toBe('length');
  // neither waited for the other
  expect(order.lastIndexOf('heard')).toBeGreaterThan(order.indexOf('last'));
  expect(order.lastIndexOf('last')).toBeGreaterThan(order.indexOf('heard'));
});

it('each makes the call that it has to', async () => {
  const tools = [
    { name: 't', parameters: { type: 'object', properties: { z: { enum: ['A', 'B'] } }, required: ['z'] } },
  ];
  const options = { tools, toolChoice: 'required', maxNewTokens: 90, temperature: 1, seed: 1, n: 3 } as const;
  const found = await Promise.all(engine.batch([QUESTION], options).map((one) => one.result));
  for (const { finish, toolCalls } of found) {
    expect([finish, toolCalls.length]).toEqual(['tool-calls', 1]);
    expect(['A', 'B']).toContain(toolCalls[0].arguments?.z);
  }
});

it.each<[unknown, BatchOptions, string]>([
  ['no list', {}, 'inputs'],
  [['one'], { n: 0 }, 'n'],
  [['one'], { n: 1.5 }, 'n'],
  [['one'], { parallel: 17 }, 'parallel'],
  [['one'], { made: [1] } as BatchOptions, 'made'],
])('refuses %o with %o by name', (inputs, options, option) => {
  expect(() => engine.batch(inputs as string[], options)).toThrow(
    expect.objectContaining({ code: 'invalid-option', details: expect.objectContaining({ option }) }),
  );
});

it('of nothing there is nothing, and a list of nothing is no prompt', async () => {
  expect(engine.batch([])).toEqual([]);
  await expect(engine.batch([[]])[0].result).rejects.toMatchObject({ code: 'invalid-option' });
});
