/** A conversation that is cloned in the middle, and its original, beside fresh ones. */
import { describe, expect, it } from 'vitest';
import type { EngineOptions } from '../protocol';
import { createSession, type Session } from './session';
import { fixture, host } from './test/tiny';

const FILES = {
  // two sliding layers of nine positions and a global one
  'with sliding layers': 'reference/fixtures/families/gemma3/nf4/',
  'with global layers': 'reference/fixtures/tiny-llama/nf4/',
};
const quiet = { postMessage: () => {} };
const said = (n: number, seed = 5) => Array.from({ length: n }, (_, i) => (i * 37 + seed + i * i * 3) % 107);
let id = 0;

async function open(path: string, options: EngineOptions = {}): Promise<Session> {
  const session = createSession(host({ files: fixture(path) }));
  const source = { kind: 'http', base: 'http://unused/' } as const;
  await session.load({ id: ++id, source, options: { chunk: 8, backend: 'cpu', ...options } }, quiet);
  return session;
}
const ask = (session: Session, conversation: number, ids: number[]) =>
  session.generate(
    { id: ++id, input: { ids }, options: { maxNewTokens: 6, ignoreEos: true, temperature: 0 }, conversation },
    quiet,
  );

describe.each(Object.entries(FILES))('a model %s', (_, path) => {
  it('goes on in both as in a fresh one, and computes nothing again', async () => {
    const session = await open(path);
    const { ids } = await ask(session, 1, said(40));
    await session.cloneCache(1, 2);
    const [one, other] = [1, 9].map((seed) => [...said(40), ...ids, ...said(7, seed)]);
    // in turns, so that neither writes into the other's
    const first = await ask(session, 2, other);
    const second = await ask(session, 1, one);
    const third = await ask(session, 2, [...other, ...first.ids, 3]);
    expect([first, second].map(({ stats }) => stats.reusedTokens)).toEqual([45, 45]);
    expect(first.ids).toEqual((await ask(session, 3, other)).ids);
    expect(second.ids).toEqual((await ask(session, 4, one)).ids);
    expect(third.ids).toEqual((await ask(session, 5, [...other, ...first.ids, 3])).ids);
    await session.dispose();
  });
});

it('without room for two caches the clone has none, and the original keeps its own', async () => {
  const path = FILES['with global layers'];
  const free = await open(path);
  await ask(free, 1, said(40));
  const { total, kv } = await free.memory();
  await free.dispose();
  const session = await open(path, { memoryBudget: total + (kv >> 1) });
  const { ids } = await ask(session, 1, said(40));
  await session.cloneCache(1, 2);
  expect((await session.memory()).conversations).toBe(1);
  const next = [...said(40), ...ids, 3];
  expect((await ask(session, 1, next)).stats.reusedTokens).toBe(45);
  expect((await ask(session, 2, next)).stats.reusedTokens).toBe(0);
  await session.dispose();
});

it('of a conversation that holds nothing there is nothing to copy', async () => {
  const session = await open(FILES['with global layers']);
  await session.cloneCache(7, 8);
  expect((await session.memory()).conversations).toBe(0);
  await session.dispose();
});
