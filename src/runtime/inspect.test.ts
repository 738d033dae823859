/** What a model would take, before it is loaded: beside what it then takes. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { serveFakeHub } from '../../scripts/testing/fake-hub';
import type { EngineOptions } from '../protocol';
import { createMemorySource } from '../sources/memory-source';
import { createMemoryStore } from '../store/chunk-store';
import { openSource } from './open-source';
import { createSession } from './session';
import { ask, fixture, host, load } from './test/tiny';

const source = { kind: 'http', base: 'http://unused/' } as const;
const BF16 = 'reference/fixtures/tiny-llama-128/bf16/';
const options: EngineOptions = { backend: 'cpu', maxContext: 64 };

it.each([
  ['NF4', 'reference/fixtures/tiny-llama-128/nf4/'],
  ['bf16, which becomes NF4,', BF16],
])('of a folder in %s is within a twentieth of what a chat of that length takes', async (_, folder) => {
  const session = createSession(host({ files: fixture(folder) }));
  const cost = await session.inspect({ source, options });
  expect(cost.bytes).toBe(fixture(folder).get('model.safetensors')!.length);
  expect(cost).toMatchObject({ family: 'llama', here: false, storedBytes: 0, tokens: 64, plan: { fits: true } });
  const { info } = await load(session, options);
  const { result } = await ask(session, { ids: [...Array(32).keys()] }, { maxNewTokens: 32, ignoreEos: true });
  expect([cost.parameters, cost.contextLength]).toEqual([info.parameters, info.contextLength]);
  expect(Math.abs(cost.plan.total / result.memory.total - 1)).toBeLessThan(0.05);
});

it('of a folder in NF4 that has a quantised embedding and 8-bit modules, like the default model, is as near', async () => {
  const files = new Map(
    ['config.json', 'manifest.json'].map((name) => {
      const path = `public/models/smollm2-135m-instruct-nf4/${name}`;
      return [name, new Uint8Array(readFileSync(path))] as const;
    }),
  );
  const requests = { count: 0 };
  const session = createSession(host({ files, requests }));
  const cost = await session.inspect({ source, options: { backend: 'cpu' }, sizes: false });
  // its headers, by `nibble plan`: 86.2 MiB of weights
  expect(Math.abs(cost.plan.weights / 2 ** 20 / 86.2 - 1)).toBeLessThan(0.05);
  expect(cost).toMatchObject({
    bytes: 85_953_072,
    tokens: 384,
    plan: { kv: 8.4375 * 2 ** 20, kvFullContext: 180 * 2 ** 20 },
  });
  expect(requests.count).toBe(4);
});

it('of a GGUF is exact', async () => {
  const path = 'model.gguf';
  const files = new Map([[path, new Uint8Array(readFileSync('reference/fixtures/tiny-gguf/llama3/model.gguf'))]]);
  const session = createSession({ ...host(), openSource: () => createMemorySource('tiny', files, path) });
  const cost = await session.inspect({ source, options });
  await load(session, options);
  const { result } = await ask(session, { ids: [...Array(32).keys()] }, { maxNewTokens: 32, ignoreEos: true });
  expect([cost.bytes, cost.plan.total]).toEqual([files.get(path)!.length, result.memory.total]);
});

it('says what is kept already, and needs no request for it', async () => {
  const requests = { count: 0 };
  const session = createSession(host({ store: createMemoryStore(), requests }));
  await load(session, options);
  requests.count = 0;
  const cost = await session.inspect({ source, options });
  expect(cost).toMatchObject({ here: true, storedBytes: expect.any(Number) });
  expect(cost.storedBytes).toBeGreaterThan(cost.bytes!);
  expect(requests.count).toBe(0);
});

it('reads config.json of the Hub, and leaves weights and tokenizer where they are', async () => {
  const hub = await serveFakeHub({ repos: { 'org/model': { files: fixture(BF16) } } });
  const store = createMemoryStore();
  const session = createSession({ gpu: null, openSource, openStore: async () => ({ store, reason: '' }) });
  try {
    const description = { kind: 'hub', id: 'org/model', hub: hub.origin } as const;
    const cost = await session.inspect({ source: description, options });
    expect(cost).toMatchObject({ name: 'org/model', here: false });
    expect([...hub.sent.keys()]).toEqual(['config.json']);
    expect(await store.ledger.keys()).toEqual([]);
  } finally {
    await hub.close();
  }
});

it('refuses what load() would refuse, by name', async () => {
  const files = new Map([
    ...fixture(),
    ['config.json', new TextEncoder().encode('{"quantization_config":{"quant_method":"gptq"}}')] as const,
  ]);
  const { inspect } = createSession(host({ files }));
  await expect(inspect({ source, options })).rejects.toMatchObject({ code: 'unsupported-quantization' });
  const budget = { ...options, memoryBudget: 1000 };
  expect(await createSession(host()).inspect({ source, options: budget })).toMatchObject({
    plan: { fits: false, suggestions: [expect.any(String)] },
  });
});
