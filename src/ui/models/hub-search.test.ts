import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { cardRepos } from '../../../scripts/testing/card-repos';
import { type FakeHub, serveFakeHub } from '../../../scripts/testing/fake-hub';
import { searchHub, variantsOf } from './hub-search';

let hub: FakeHub;
beforeAll(async () => {
  vi.stubGlobal('location', { href: 'http://localhost/' });
  vi.stubGlobal('navigator', { onLine: true });
  hub = await serveFakeHub({ repos: cardRepos() });
});
afterAll(async () => {
  vi.unstubAllGlobals();
  await hub.close();
});

test('names, downloads, likes, licence and gate, the most downloaded first', async () => {
  const found = await searchHub(' llama-3.2 ', hub.origin);
  expect(found.map(({ id, gated, licence }) => [id, gated, licence])).toEqual([
    ['bartowski/Llama-3.2-1B-Instruct-GGUF', false, 'llama-3.2-community'],
    ['bartowski/Llama-3.2-3B-Instruct-GGUF', false, 'llama-3.2-community'],
    ['meta-llama/Llama-3.2-1B-Instruct', true, 'llama-3.2-community'],
  ]);
  expect(found[0].downloads).toBeGreaterThan(found[1].downloads);
  expect(hub.requests).toEqual(['search llama-3.2']);
  expect(hub.complaints).toEqual([]);
});

test('what a repository offers, the smallest first', async () => {
  expect(await variantsOf('unsloth/Qwen3-0.6B-GGUF', hub.origin)).toEqual([
    { model: 'unsloth/Qwen3-0.6B-GGUF/Qwen3-0.6B-Q4_K_M.gguf', label: 'Q4_K_M', bytes: 396_705_472 },
    { model: 'unsloth/Qwen3-0.6B-GGUF/Qwen3-0.6B-Q8_0.gguf', label: 'Q8_0', bytes: 634_728_755 },
  ]);
  expect(await variantsOf('unsloth/Qwen3-4B-bnb-4bit', hub.origin)).toMatchObject([{ label: 'NF4' }]);
});

describe('what goes wrong is said with a next step', () => {
  test.each([
    [{ kind: 'status', status: 429, headers: { 'Retry-After': '7' } }, /too often.*Search again/],
    [{ kind: 'status', status: 503 }, /answered 503.*later/],
    [{ kind: 'html' }, /no JSON.*address of the Hub/],
    [{ kind: 'refuse' }, /gives no answer.*connection/],
  ] as const)('%j', async (fault, message) => {
    hub.options.fault = () => fault;
    await expect(searchHub('x', hub.origin)).rejects.toMatchObject({
      code: 'network',
      message: expect.stringMatching(message),
    });
    hub.options.fault = undefined;
  });

  test('offline', async () => {
    vi.stubGlobal('navigator', { onLine: false });
    hub.options.fault = () => ({ kind: 'refuse' });
    await expect(searchHub('x', hub.origin)).rejects.toThrow(/offline/);
    hub.options.fault = undefined;
    vi.stubGlobal('navigator', { onLine: true });
  });

  test('entries that are no repositories are left out', async () => {
    hub.options.repos = { ...hub.options.repos, '<b>/x': { files: new Map() } };
    expect(await searchHub('<b>', hub.origin)).toEqual([]);
  });
});
