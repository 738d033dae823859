import { beforeAll, describe, expect, it } from 'vitest';
import { createMemoryStore } from '../store/chunk-store';
import { createSession } from './session';
import { ask, certain, chats, fixture, host, load, read } from './test/tiny';

describe('a session on the CPU', () => {
  const session = createSession(host());
  let loaded: Awaited<ReturnType<typeof load>>;
  beforeAll(async () => {
    loaded = await load(session);
  });

  it('is told the beginning of an answer that is whole already, and computes nothing', async () => {
    const [{ ids, greedy }] = chats;
    const made = greedy.slice(0, 5);
    const { result, messages } = await ask(session, { ids }, { maxNewTokens: 5 }, made);
    expect(result.ids).toEqual(made);
    expect([result.finish, result.stats.prefillTps]).toEqual(['length', 0]);
    expect(messages.flatMap((message) => message.ids)).toEqual(made);
  });

  it('refuses a beginning with ids that are none', async () => {
    const asked = ask(session, { ids: [1] }, {}, [3, 300]);
    await expect(asked).rejects.toMatchObject({ code: 'invalid-option', details: { id: 300, place: 1 } });
  });

  it('says hello, and whether it holds a lock', async () => {
    expect(await session.hello('life')).toBe('locks' in (globalThis.navigator ?? {}));
  });

  it('tells what it is and why', () => {
    const { info, progress } = loaded;
    expect(info).toMatchObject({
      name: 'tiny',
      family: 'llama',
      backend: 'cpu',
      contextLength: 512,
      hasChatTemplate: true,
    });
    expect(info.backendReason).toMatch(/no WebGPU.*CPU/);
    expect(info.options).toMatchObject({ kv: 'f16', storage: 'none', maxContext: 512, memoryBudget: null });
    expect(info.storageReason).toBe('nothing is kept here');
    expect(info.weightTypes.q4.count).toBeGreaterThan(10);
    expect(progress[0].phase).toBe('header');
    expect(progress.at(-1)).toMatchObject({ phase: 'ready', loadedBytes: progress.at(-1)!.totalBytes });
    expect(progress.at(-1)!.totalBytes).toBe(read('model.safetensors').length);
  });

  it.each(chats.map((chat, i) => [i, chat] as const))('answers chat %i as transformers does', async (_, chat) => {
    expect(await session.tokenize(chat.prompt, true)).toEqual(chat.ids);
    const expected = certain(chat);
    expect(expected.length).toBeGreaterThan(5);
    const { result, messages } = await ask(session, { messages: chat.messages }, { maxNewTokens: expected.length });
    expect(result.ids).toEqual(expected);
    expect(result.stats.promptTokens).toBe(chat.ids.length);
    expect(messages.map(({ text }) => text).join('')).toBe(result.text);
    expect(messages.flatMap(({ ids }) => ids)).toEqual(result.ids);
  });

  it('reuses what the cache holds, and answers the same', async () => {
    const [{ ids }] = chats;
    const first = await ask(session, { ids }, { maxNewTokens: 12 });
    const longer = [...ids, ...first.result.ids, 5, 6, 7];
    const second = await ask(session, { ids: longer }, { maxNewTokens: 12 });
    expect(second.result.stats.reusedTokens).toBe(ids.length + 11);
    await ask(session, { ids: [9] }, { maxNewTokens: 1 });
    const afresh = await ask(session, { ids: longer }, { maxNewTokens: 12 });
    expect(afresh.result.stats.reusedTokens).toBe(0);
    expect(afresh.result.ids).toEqual(second.result.ids);
  });

  it('allocates what it planned', async () => {
    const other = createSession(host());
    await load(other);
    const plan = await other.plan({ promptTokens: 40, maxNewTokens: 30 });
    const { result } = await ask(other, { ids: Array(40).fill(9) }, { maxNewTokens: 30, ignoreEos: true });
    expect(result.memory).toMatchObject({ weights: plan.weights, kv: plan.kv, scratch: plan.scratch });
    expect(result.memory.kvSlots).toEqual({ global: plan.kvByLayer[0].slots, sliding: null });
    expect(result.memory.kvFullContext).toBe((plan.kv / plan.kvByLayer[0].slots) * 512);
    expect(await other.memory()).toEqual(result.memory);
  });

  it('draws the same with the same seed, and reports the seed it drew', async () => {
    const input = { ids: [9, 8, 7] };
    const free = (await ask(session, input, { temperature: 1.5, maxNewTokens: 10 })).result;
    expect(free.options).toMatchObject({ temperature: 1.5, topK: 0, topP: 1 });
    const { seed } = free.options!;
    expect((await ask(session, input, { temperature: 1.5, maxNewTokens: 10, seed })).result.ids).toEqual(free.ids);
  });

  it.each([
    [{ ids: [] }, {}, 'invalid-option'],
    [{ prompt: '' }, {}, 'invalid-option'],
    [{ messages: [] }, {}, 'invalid-option'],
    [{ messages: [{ role: 'robot', content: 'x' }] as never }, {}, 'invalid-option'],
    [{ ids: [300] }, {}, 'invalid-option'],
    [{ ids: [-1] }, {}, 'invalid-option'],
    [{ ids: [1.5] }, {}, 'invalid-option'],
    [{ ids: Array(513).fill(1) }, {}, 'context-overflow'],
    [{ ids: [1, 2] }, { maxNewTokens: 512 }, 'context-overflow'],
    [{ ids: [1] }, { topP: 2 }, 'invalid-option'],
    [{ ids: [1] }, { nonsense: 2 } as never, 'invalid-option'],
  ])('refuses %j with %j, and goes on', async (input, options, code) => {
    await expect(ask(session, input, options)).rejects.toMatchObject({ code });
    expect((await ask(session, { ids: [1] }, { maxNewTokens: 1 })).result.ids).toHaveLength(1);
  });

  it('fills the context to its last slot', async () => {
    const { result } = await ask(session, { ids: Array(510).fill(9) }, { ignoreEos: true });
    expect(result.ids).toHaveLength(3);
  });

  it('stops the request that is cancelled, waiting or running, and no other', async () => {
    const request = (n: number) => ({ id: n, input: { ids: [9, 9] }, options: { maxNewTokens: 60, ignoreEos: true } });
    let seen = 0;
    const running = session.generate(request(9001), {
      postMessage: () => {
        if (++seen === 3) void session.cancel(9001);
      },
    });
    const waiting = session.generate(request(9002), { postMessage: () => {} });
    const last = session.generate(request(9003), { postMessage: () => {} });
    await session.cancel(9002);
    await session.cancel(12345);
    expect((await running).finish).toBe('aborted');
    expect((await running).ids.length).toBeLessThanOrEqual(4);
    expect(await waiting).toMatchObject({ finish: 'aborted', ids: [] });
    expect(await last).toMatchObject({ finish: 'length' });
  });
});

describe('LongRoPE, which turns heads otherwise in conversations beyond its first context', () => {
  const files = fixture('reference/fixtures/families/phi4-mini/bf16/');
  const ids = Array.from({ length: 20 }, (_, i) => (i * 37 + 5) % 107);
  const fresh = async (count: number, maxNewTokens: number) => {
    const session = createSession(host({ files }));
    await load(session, { weights: 'f32', kv: 'f32' });
    return ask(session, { ids: ids.slice(0, count) }, { maxNewTokens });
  };
  it('forgets the cache where it crosses that length, in both directions, and only there', async () => {
    const session = createSession(host({ files }));
    await load(session, { weights: 'f32', kv: 'f32' });
    // 39 positions are its first context; a prompt and all but the last new token count
    const turns = [
      [10, 20, 0],
      [14, 26, 10],
      [15, 26, 0],
      [20, 40, 15],
      [20, 20, 0],
    ] as const;
    for (const [count, maxNewTokens, reused] of turns) {
      const { result } = await ask(session, { ids: ids.slice(0, count) }, { maxNewTokens });
      expect(result.ids).toEqual((await fresh(count, maxNewTokens)).result.ids);
      expect(result.stats.reusedTokens).toBe(reused);
    }
  });
});

describe('loading', () => {
  it.each([
    [{ backend: 'gpu' } as never, 'invalid-option'],
    [{ colour: 'red' } as never, 'invalid-option'],
    [{ chunk: 0 }, 'invalid-option'],
    [{ maxContext: 1.5 }, 'invalid-option'],
    [{ tune: 'fastest' }, 'invalid-option'],
    [{ backend: 'webgpu' } as const, 'webgpu-unavailable'],
    [{ memoryBudget: 1000 }, 'out-of-memory'],
  ])('refuses %j, and the next attempt works', async (options, code) => {
    const session = createSession(host());
    await expect(load(session, options)).rejects.toMatchObject({ code });
    await expect(session.info()).rejects.toMatchObject({ code: 'invalid-option' });
    expect((await load(session)).info.name).toBe('tiny');
  });

  it('keeps the modules that are named, and tells', async () => {
    const files = fixture('reference/fixtures/tiny-llama-128/bf16/');
    const session = createSession(host({ files }));
    const { info } = await load(session, { keep: ['embed_tokens', 'layers.0.self_attn'] });
    expect(info.options.keep).toEqual(['embed_tokens', 'layers.0.self_attn']);
    expect(info.weightTypes).toMatchObject({ bf16: { count: 5 }, q4: { count: 10 } });
    await expect(load(session, { keep: ['layers.9'] })).rejects.toMatchObject({ code: 'invalid-option' });
    await expect(load(session, { keep: 'lm_head' as never })).rejects.toMatchObject({ code: 'invalid-option' });
  });
  it('caps the conversation', async () => {
    const session = createSession(host());
    await load(session, { maxContext: 64 });
    await expect(ask(session, { ids: Array(60).fill(9) }, { maxNewTokens: 6 })).rejects.toMatchObject({
      code: 'context-overflow',
      details: { capacity: 64, need: 65 },
    });
  });

  it('asks nothing of the network the second time', async () => {
    const store = createMemoryStore();
    const first = { count: 0 };
    await load(createSession(host({ store, requests: first })));
    expect(first.count).toBeGreaterThan(0);
    const second = { count: 0 };
    const session = createSession(host({ files: new Map(), store, requests: second }));
    const { info, progress } = await load(session);
    expect(second.count).toBe(0);
    expect(info.options.storage).toBe('indexeddb');
    expect(progress.at(-1)!.networkBytes).toBe(0);
    expect((await ask(session, { messages: chats[0].messages }, { maxNewTokens: 3 })).result.ids).toEqual(
      chats[0].greedy.slice(0, 3),
    );
  });

  it.each([
    ['a missing weight file', 'model.safetensors', () => null, 'corrupt-checkpoint'],
    ['a missing config', 'config.json', () => null, 'corrupt-checkpoint'],
    [
      'an altered byte',
      'model.safetensors',
      (b: Uint8Array) => b.map((v, i) => (i === 200_000 ? v ^ 1 : v)),
      'integrity-mismatch',
    ],
    ['a truncated file', 'model.safetensors', (b: Uint8Array) => b.slice(0, 200_000), 'corrupt-checkpoint'],
  ])('refuses %s, installs nothing, and goes on when it is mended', async (_, path, spoil, code) => {
    const files = fixture();
    const spoilt = spoil(files.get(path)!);
    if (spoilt) files.set(path, spoilt);
    else files.delete(path);
    const store = createMemoryStore();
    const session = createSession(host({ files, store }));
    await expect(load(session)).rejects.toMatchObject({ code });
    expect((await store.ledger.get('tiny@'))?.complete).not.toBe(true);
    files.set(path, new Uint8Array(read(path)));
    expect((await load(session)).info.name).toBe('tiny');
    expect((await store.ledger.get('tiny@'))?.complete).toBe(true);
  });

  it('refuses weights of another shape, with both', async () => {
    const files = fixture();
    files.delete('manifest.json');
    const config = JSON.parse(read('config.json').toString());
    files.set('config.json', new TextEncoder().encode(JSON.stringify({ ...config, intermediate_size: 512 })));
    await expect(load(createSession(host({ files })))).rejects.toMatchObject({
      code: 'corrupt-checkpoint',
      details: { shape: [256, 128], expected: [512, 128] },
    });
  });

  it('works on ids without a tokenizer, and says what it lacks', async () => {
    const files = fixture();
    for (const name of ['manifest.json', 'tokenizer.json', 'tokenizer_config.json']) files.delete(name);
    const session = createSession(host({ files }));
    expect((await load(session)).info).toMatchObject({ hasTokenizer: false, hasChatTemplate: false });
    expect((await ask(session, { ids: chats[0].ids }, { maxNewTokens: 4 })).result).toMatchObject({
      ids: chats[0].greedy.slice(0, 4),
      text: '',
    });
    await expect(ask(session, { prompt: 'Hi' })).rejects.toMatchObject({ code: 'invalid-option' });
    await expect(ask(session, { ids: [1] }, { stop: 'x' })).rejects.toMatchObject({ code: 'invalid-option' });
  });

  it('can be stopped', async () => {
    const session = createSession(host());
    const loading = session.load(
      { id: 77, source: { kind: 'http', base: 'http://unused/' }, options: {} },
      { postMessage: ({ phase }) => void (phase === 'download' && session.cancel(77)) },
    );
    await expect(loading).rejects.toMatchObject({ code: 'aborted' });
  });
});
