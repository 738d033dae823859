/**
 * Conversations that outlive their session: saved, put back in another one, and refused where they do not belong. It is
 * long because whatever makes a saved cache useless is a test of its own.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import { adapterFiles } from '../lora/test/adapters';
import type { EngineOptions, GenerateRequest, LoraDescription } from '../protocol';
import { createMemorySource } from '../sources/memory-source';
import { createMemoryStore, type ModelStore } from '../store/chunk-store';
import { createSession, type Session } from './session';
import { fixture } from './test/tiny';

/** Two sliding layers of nine positions and a global one. */
const GEMMA = fixture('reference/fixtures/families/gemma3/nf4/');
const LLAMA = fixture('reference/fixtures/tiny-llama/nf4/');
const NAME = 'talk';
const PIECES = '@saved/';

interface Ground {
  /** what the revision means, where the source can tell */
  commit?: string;
  store?: ModelStore | null;
  files?: Map<string, Uint8Array>;
  name?: string;
  revision?: string | null;
  options?: EngineOptions;
  lora?: LoraDescription[];
  filesOf?: (adapter: string) => Map<string, Uint8Array>;
}

let id = 0;
const quiet = { postMessage: () => {} };

async function open(ground: Ground) {
  const { store = null, files = GEMMA, name = 'm', revision = null, commit, options } = ground;
  const { lora, filesOf = adapterFiles } = ground;
  const session = createSession({
    gpu: null,
    openStore: async () => ({ store, reason: store ? '' : 'nothing is kept here' }),
    openSource: (description) => {
      const adapter = description.kind === 'hub' ? description.id : null;
      if (adapter) return createMemorySource(adapter, filesOf(adapter));
      const listed = Object.fromEntries(
        [...files].map(([path, { length }]) => [path, { bytes: length, digest: null }]),
      );
      const list = commit ? async () => ({ revision: commit, files: listed }) : undefined;
      return { ...createMemorySource(name, files), revision, list };
    },
  });
  const source = { kind: 'http', base: 'http://unused/' } as const;
  await session.load({ id: ++id, source, options: { chunk: 8, ...options }, lora }, quiet);
  return session;
}

const said = (n: number, seed = 5) => Array.from({ length: n }, (_, i) => (i * 37 + seed + i * i * 3) % 107);

const ask = (session: Session, ids: number[], more: Partial<GenerateRequest> = {}, maxNewTokens = 6) =>
  session.generate(
    { id: ++id, input: { ids }, options: { maxNewTokens, ignoreEos: true, temperature: 0 }, ...more },
    quiet,
  );

/** A store with a conversation of 60 tokens saved in it, and what is asked next. */
async function saved(ground: Ground = {}) {
  const store = createMemoryStore();
  const session = await open({ store, ...ground });
  const { ids } = await ask(session, said(60));
  const kept = await session.saveCache(0, NAME);
  return { store, session, kept, next: [...said(60), ...ids, ...said(7, 1)] };
}

describe('a saved conversation', () => {
  it('of which a part was dropped goes on in another session, and nothing is computed again', async () => {
    const store = createMemoryStore();
    const options = { maxContext: 64 };
    const shift = { maxNewTokens: 40, ignoreEos: true, temperature: 0, overflow: 'shift' } as const;
    const session = await open({ store, options });
    const first = await ask(session, said(50), { options: shift });
    expect(first.stats.droppedTokens).toBe(32);
    await session.saveCache(0, NAME);
    const ids = [...said(50), ...first.ids, ...said(7, 1)];
    const goesOn = await ask(session, ids, { options: shift });
    const other = await open({ store, options });
    const restored = await ask(other, ids, { options: shift, saved: NAME });
    expect(restored.stats.reusedTokens).toBe(goesOn.stats.reusedTokens);
    expect(restored.ids).toEqual(goesOn.ids);
  });

  it('goes on in another session, token for token, as if it had never been saved', async () => {
    const script = fc.record({
      prompt: fc.integer({ min: 1, max: 90 }),
      answer: fc.integer({ min: 1, max: 12 }),
      add: fc.integer({ min: 1, max: 30 }),
      kv: fc.constantFrom('f16' as const, 'f32' as const, 'int8' as const),
      // bytes that are left for what is read at a time
      room: fc.integer({ min: 1, max: 30_000 }),
      implicit: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(script, async ({ prompt, answer, add, kv, room, implicit }) => {
        const store = createMemoryStore();
        const one = await open({ store, options: { kv } });
        const { ids, memory } = await ask(one, said(prompt), {}, answer);
        const { total } = await one.memory();
        const tight = await open({ store, options: { kv, memoryBudget: total + room } });
        await ask(tight, said(prompt), {}, answer);
        const kept = await tight.saveCache(0, NAME);
        expect(kept).toMatchObject({ name: NAME, tokens: prompt + answer - 1, revision: null });
        expect(kept.bytes).toBeLessThanOrEqual(memory.kv);
        expect((await tight.memory()).total).toBe((await one.memory()).total);

        const next = [...said(prompt), ...ids, ...said(add, 1)];
        const right = await ask(one, next);
        const other = await open({ store, options: { kv } });
        if (!implicit) expect(await other.restoreCache(0, NAME)).toBe(prompt + answer - 1);
        const got = await ask(other, next, implicit ? { saved: NAME } : {});
        expect(got.note).toBeNull();
        expect(got.ids).toEqual(right.ids);
        expect(got.stats.reusedTokens).toBe(prompt + answer - 1);
        expect(got.stats.reusedTokens).toBe(right.stats.reusedTokens);
      }),
      { numRuns: 20 },
    );
  });

  it('takes the bytes of what is held, not of the rings', async () => {
    const { kept, store } = await saved({ options: { kvCapacity: 'full' } });
    // 65 positions in one global layer, the newest 32 of them in two rings; K and V of 2 heads of 24, f16
    expect(kept.bytes).toBe((65 + 2 * 32) * 2 * 2 * 24 * 2);
    expect(await store.chunks.keys(PIECES)).toHaveLength(3);
  });

  it('serves rings of another size, and another room for copies of them', async () => {
    const { store, next, session } = await saved();
    const right = await ask(session, next);
    for (const options of [{ chunk: 30, snapshots: 1 }, { chunk: 1 }, { kvCapacity: 200 }]) {
      const { ids, stats } = await ask(await open({ store, options }), next, { saved: NAME });
      expect([ids, stats.reusedTokens]).toEqual([right.ids, 65]);
    }
  });

  it('that may become long is put back before it is', async () => {
    // of 30 tokens, with keys for more than 39
    const files = fixture('reference/fixtures/families/phi4-mini/nf4/');
    const store = createMemoryStore();
    const one = await open({ store, files });
    const number = ++id;
    const stopping = { postMessage: () => void one.cancel(number) };
    const options = { maxNewTokens: 30, ignoreEos: true, temperature: 0 };
    await one.generate({ id: number, input: { ids: said(30) }, options }, stopping);
    await one.saveCache(0, NAME);
    const right = await ask(one, said(33), {}, 20);
    const other = await open({ store, files });
    await ask(other, said(8, 2), {}, 1);
    expect((await ask(other, said(9), { saved: NAME }, 1)).note).toBeNull();
    expect(await other.restoreCache(1, NAME)).toBe(30);
    const got = await ask(other, said(33), { conversation: 1 }, 20);
    expect([got.ids, got.stats.reusedTokens]).toEqual([right.ids, 30]);
    // asked for less, it would take the other set of frequencies
    const short = await ask(other, said(33), { conversation: 2, saved: NAME }, 2);
    expect(short.note).toContain('has keys for longer conversations');
    expect(short.ids).toEqual((await ask(await open({ files }), said(33), {}, 2)).ids);
  });

  it('takes no more of the context than its conversation may', async () => {
    const { store } = await saved();
    const session = await open({ store, options: { kvCapacity: 'full' } });
    await ask(session, said(9), { conversation: 1, maxContext: 80 });
    const { kv } = await session.memory();
    await session.close(1);
    expect(await session.restoreCache(2, NAME, 80)).toBe(65);
    expect((await session.memory()).kv).toBe(kv);
    await expect(session.restoreCache(2, NAME, 40)).rejects.toMatchObject({
      code: 'context-overflow',
      details: { need: 65, capacity: 40 },
    });
    await expect(session.restoreCache(2, NAME, Number.NaN)).rejects.toMatchObject({ code: 'invalid-option' });
  });

  it('is used by the conversation that names it, once, and by no other', async () => {
    const { store, next } = await saved();
    const session = await open({ store });
    expect((await ask(session, next, { conversation: 1 })).stats.reusedTokens).toBe(0);
    expect((await ask(session, next, { conversation: 2, saved: NAME })).stats.reusedTokens).toBe(65);
    const again = await ask(session, next, { conversation: 2, saved: NAME });
    expect(again.stats.reusedTokens).toBe(next.length - 1);
    expect((await ask(session, said(9, 3), { conversation: 3, saved: NAME })).note).toBeNull();
    expect((await ask(session, next, { conversation: 4, saved: 'nothing' })).note).toBeNull();
    expect(await session.restoreCache(5, 'nothing')).toBeNull();
  });

  it('goes on where it had outgrown its context, with what had been dropped', async () => {
    const options = { maxContext: 48, kv: 'f32' } as const;
    const store = createMemoryStore();
    const one = await open({ store, options });
    const shifting = (session: Session, ids: number[], more: Partial<GenerateRequest> = {}) =>
      ask(session, ids, { ...more, options: { maxNewTokens: 9, ignoreEos: true, temperature: 0, overflow: 'shift' } });
    const first = await shifting(one, said(44));
    expect(first.stats.droppedTokens).toBeGreaterThan(0);
    await one.saveCache(0, NAME);
    const next = [...said(44), ...first.ids, ...said(2, 1)];
    const right = await shifting(one, next);
    const got = await shifting(await open({ store, options }), next, { saved: NAME });
    expect(got.stats).toMatchObject({
      droppedTokens: right.stats.droppedTokens,
      reusedTokens: right.stats.reusedTokens,
    });
    expect(got.stats.reusedTokens).toBeGreaterThan(30);
    expect(got.ids).toEqual(right.ids);
  });

  it('is listed, replaced, deleted, and deleted with its model', async () => {
    const { store, session, kept } = await saved();
    expect(kept).toMatchObject({ model: 'm@', savedAt: expect.any(Number) });
    await ask(session, said(20, 8), { conversation: 7 });
    const second = await session.saveCache(7, 'second');
    expect((await session.savedCaches()).map(({ name }) => name).sort()).toEqual(['second', NAME]);
    const pieces = await store.chunks.keys(PIECES);
    await session.saveCache(0, NAME);
    expect((await store.chunks.keys(PIECES)).length).toBe(pieces.length);
    expect(await store.chunks.keys(PIECES)).not.toEqual(pieces);
    await session.deleteSavedCache(NAME);
    expect(await session.savedCaches()).toEqual([second]);
    expect(await session.restoreCache(0, NAME)).toBeNull();
    await session.dispose();
    await session.forget({ kind: 'stored', key: 'other@' });
    expect(await session.savedCaches()).toHaveLength(1);
    await session.forget({ kind: 'stored', key: 'm@' });
    expect(await session.savedCaches()).toEqual([]);
    expect(await store.chunks.keys(PIECES)).toEqual([]);
  });
});

/** Alters what is stored under a name. */
const editRecord = (edit: (record: Record<string, unknown>) => unknown) => async (store: ModelStore) =>
  store.saved.put(NAME, edit({ ...((await store.saved.get(NAME)) as object) }));
const editPiece = (edit: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>) => async (store: ModelStore) => {
  const key = (await store.chunks.keys(PIECES))[1];
  const chunk = (await store.chunks.get(key))!;
  await store.chunks.put(key, { ...chunk, bytes: edit(chunk.bytes) });
};
/** The same model with one altered code. */
function retrained(): Map<string, Uint8Array> {
  const path = 'model.safetensors';
  const file = new Uint8Array(GEMMA.get(path)!);
  const headerBytes = new DataView(file.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + headerBytes)));
  file[8 + headerBytes + header['model.layers.1.mlp.down_proj.weight'].data_offsets[0]] ^= 1;
  return new Map([...GEMMA, [path, file]]);
}

/** The same files with one number of a JSON file doubled. */
function doubled(files: Map<string, Uint8Array>, path: string, field: string): Map<string, Uint8Array> {
  const config = JSON.parse(new TextDecoder().decode(files.get(path)));
  expect(config[field]).toBeGreaterThan(0);
  const text = JSON.stringify({ ...config, [field]: 2 * config[field] }, null, 2);
  return new Map([...files, [path, new TextEncoder().encode(text)]]);
}

describe('what was saved is not used when it', () => {
  const DAMAGED = 'integrity-mismatch';
  const FOREIGN = 'invalid-option';
  type Case = [string, { edit?: (store: ModelStore) => Promise<void>; other?: Ground; code: string; details: object }];
  it.each<Case>([
    [
      'has an altered byte',
      { edit: editPiece((bytes) => bytes.with(99, bytes[99] ^ 16)), code: DAMAGED, details: { piece: 1 } },
    ],
    [
      'is cut short',
      {
        edit: editPiece((bytes) => bytes.slice(0, -4)),
        code: DAMAGED,
        details: { piece: 1, bytes: 6140, expected: 6144 },
      },
    ],
    [
      'lacks a piece',
      {
        edit: async (store) => store.chunks.delete((await store.chunks.keys(PIECES))[1]),
        code: DAMAGED,
        details: { piece: 1, bytes: 0, expected: 6144 },
      },
    ],
    ['is no record', { edit: editRecord(() => 'talk'), code: DAMAGED, details: { name: NAME } }],
    ['is null', { edit: editRecord(() => null), code: DAMAGED, details: { name: NAME } }],
    [
      'has contents that are no object',
      { edit: editRecord((all) => ({ ...all, contents: 5 })), code: DAMAGED, details: { name: NAME } },
    ],
    [
      'has altered ids',
      {
        edit: editRecord((all) => ({ ...all, contents: String(all.contents).replace('"ids":[5,', '"ids":[6,') })),
        code: DAMAGED,
        details: { name: NAME },
      },
    ],
    [
      'has another version of the format',
      { edit: editRecord((all) => ({ ...all, format: 9 })), code: DAMAGED, details: { format: 9, known: 1 } },
    ],
    [
      'is of another model',
      { other: { name: 'n' }, code: FOREIGN, details: { what: 'model', saved: 'm@', loaded: 'n@' } },
    ],
    [
      'is of another revision',
      { other: { revision: 'abc' }, code: FOREIGN, details: { what: 'model', loaded: 'm@abc' } },
    ],
    [
      'is of another commit',
      { other: { commit: 'abc' }, code: FOREIGN, details: { what: 'revision', saved: 'none', loaded: 'abc' } },
    ],
    [
      'is of other weights of that name',
      { other: { files: retrained() }, code: FOREIGN, details: { what: 'set of weights' } },
    ],
    [
      'is of those weights under another configuration',
      {
        other: { files: doubled(GEMMA, 'config.json', 'rms_norm_eps') },
        code: FOREIGN,
        details: { what: 'configuration' },
      },
    ],
    [
      'is of another KV type',
      { other: { options: { kv: 'f32' } }, code: FOREIGN, details: { what: 'KV type', saved: 'f16', loaded: 'f32' } },
    ],
    [
      'is of another choice of weights',
      {
        other: { options: { weights: 'f32' } },
        code: FOREIGN,
        details: { what: 'choice of weights', saved: 'keep', loaded: 'f32' },
      },
    ],
    [
      'is longer than the context',
      { other: { options: { maxContext: 40 } }, code: 'context-overflow', details: { need: 65, capacity: 40 } },
    ],
  ])('%s', async (_, { edit, other = {}, code, details }) => {
    const { store, next } = await saved();
    await edit?.(store);
    // what is kept of the model itself is not what this is about
    const apart = { ...createMemoryStore(), saved: store.saved, chunks: savedOnly(store) };
    const session = await open({ ...other, store: apart });
    const prompt = other.options?.maxContext ? next.slice(0, 30) : next;
    const fresh = await ask(await open({ ...other, store: null }), prompt);
    await expect(session.restoreCache(0, NAME)).rejects.toMatchObject({ code, details });
    expect((await ask(session, prompt)).ids).toEqual(fresh.ids);
    const noted = await ask(session, prompt, { conversation: 1, saved: NAME });
    expect(noted.note).toMatch(/talk|context|slots/);
    expect(noted.note).toMatch(/computed again/);
    expect([noted.ids, noted.stats.reusedTokens]).toEqual([fresh.ids, 0]);
  });

  /** The pieces of saves, and room for another model's chunks. */
  function savedOnly(store: ModelStore): ModelStore['chunks'] {
    const { chunks } = createMemoryStore();
    const of = (key: string) => (key.startsWith(PIECES) ? store.chunks : chunks);
    return {
      get: (key) => of(key).get(key),
      put: (key, chunk) => of(key).put(key, chunk),
      delete: (key) => of(key).delete(key),
      keys: (prefix) => of(prefix).keys(prefix),
    };
  }

  it('was computed with other adapters, which are part of the weights', async () => {
    const lora = (...names: string[]): LoraDescription[] =>
      names.map((name) => ({ source: { kind: 'hub', id: name }, scale: 1 }));
    const store = createMemoryStore();
    const ids = [3, 9, 27, 4, 11];
    const one = await open({ store, files: LLAMA, lora: lora('plain') });
    const right = await ask(one, ids);
    await one.saveCache(0, NAME);
    const same = await open({ store, files: LLAMA, lora: lora('plain') });
    expect(await same.restoreCache(0, NAME)).toBe(10);
    expect((await ask(same, ids)).ids).toEqual(right.ids);
    const halved = lora('plain').map((one) => ({ ...one, scale: 0.5 }));
    for (const other of [[], lora('dora'), lora('plain', 'dora'), halved]) {
      const session = await open({ store, files: LLAMA, lora: other });
      await expect(session.restoreCache(0, NAME)).rejects.toMatchObject({
        code: FOREIGN,
        details: { what: 'set of LoRA adapters' },
      });
    }
    const filesOf = (name: string) => doubled(adapterFiles(name), 'adapter_config.json', 'lora_alpha');
    const chunks = savedOnly(store);
    const stronger = await open({
      store: { ...createMemoryStore(), saved: store.saved, chunks },
      files: LLAMA,
      lora: lora('plain'),
      filesOf,
    });
    await expect(stronger.restoreCache(0, NAME)).rejects.toMatchObject({ details: { what: 'set of LoRA adapters' } });
    const bare = await open({ store, files: LLAMA });
    await bare.setLora({ id: ++id, lora: lora('plain') });
    expect(await bare.restoreCache(0, NAME)).toBe(10);
  });

  it('has no room in the budget', async () => {
    const { store, session, next } = await saved();
    const { weights, scratch } = await session.memory();
    const budget = weights + scratch + 20_000;
    const tight = await open({ store, options: { memoryBudget: budget } });
    await expect(tight.restoreCache(0, NAME)).rejects.toMatchObject({ code: 'out-of-memory' });
    expect((await ask(tight, next.slice(0, 9), {}, 2)).ids).toHaveLength(2);
  });
});

describe('saving', () => {
  it('that finds no room loses nothing: what was saved before is still there, and nothing else', async () => {
    const { store, session, next, kept } = await saved();
    await ask(session, next);
    const before = await store.chunks.keys(PIECES);
    const { put } = store.chunks;
    let left = 1;
    store.chunks.put = async (key, chunk) => {
      if (left-- <= 0)
        throw new NibbleError('quota-exceeded', 'full', { neededBytes: 1, usageBytes: 5, quotaBytes: 9 });
      await put(key, chunk);
    };
    await expect(session.saveCache(0, NAME)).rejects.toMatchObject({
      code: 'quota-exceeded',
      details: { neededBytes: expect.any(Number), usageBytes: 5, quotaBytes: 9 },
    });
    expect(await store.chunks.keys(PIECES)).toEqual(before);
    expect(await session.savedCaches()).toEqual([kept]);
    store.chunks.put = put;
    const other = await open({ store });
    expect(await other.restoreCache(0, NAME)).toBe(65);
    expect((await ask(session, next)).ids).toEqual((await ask(other, next)).ids);
  });

  it('gives way to whoever stops it: before it begins, and between two pieces', async () => {
    const { store, session, next, kept } = await saved();
    const right = await ask(await open({}), next);
    const before = await store.chunks.keys(PIECES);
    const begun = id + 1;
    id += 2;
    const answer = ask(session, next);
    const waiting = session.saveCache(0, NAME, begun);
    await session.cancel(begun);
    expect((await answer).ids).toEqual(right.ids);
    await expect(waiting).rejects.toMatchObject({ code: 'aborted' });
    const { put } = store.chunks;
    let pieces = 0;
    store.chunks.put = async (key, chunk) => {
      pieces++;
      await put(key, chunk);
      await session.cancel(begun + 1);
    };
    await expect(session.saveCache(0, NAME, begun + 1)).rejects.toMatchObject({ code: 'aborted' });
    expect(pieces).toBe(1);
    expect(await store.chunks.keys(PIECES)).toEqual(before);
    expect(await session.savedCaches()).toEqual([kept]);
  });

  it('that was cut off leaves what was saved before; the next save clears what it left', async () => {
    const { store, session } = await saved();
    const [chunk] = await store.chunks.keys(PIECES);
    const left = `${PIECES}${NAME}/cut-off#0`;
    await store.chunks.put(left, (await store.chunks.get(chunk))!);
    await store.chunks.put(`${PIECES}other/cut-off#0`, (await store.chunks.get(chunk))!);
    expect(await (await open({ store })).restoreCache(0, NAME)).toBe(65);
    await session.saveCache(0, NAME);
    expect(await store.chunks.keys(PIECES)).toHaveLength(3);
    expect(await (await open({ store })).restoreCache(0, NAME)).toBe(65);
  });

  it('needs something to save, a name, and a place', async () => {
    const session = await open({ store: createMemoryStore() });
    await expect(session.saveCache(0, NAME)).rejects.toMatchObject({ code: 'invalid-option', details: { tokens: 0 } });
    for (const name of ['', 'x'.repeat(201), 5 as never]) {
      await expect(session.saveCache(0, name)).rejects.toMatchObject({ code: 'invalid-option' });
      await expect(session.restoreCache(0, name)).rejects.toMatchObject({ code: 'invalid-option' });
    }
    const nowhere = await open({ store: null });
    await ask(nowhere, said(9));
    const reason = 'nothing is kept here';
    await expect(nowhere.saveCache(0, NAME)).rejects.toMatchObject({
      code: 'storage-unavailable',
      details: { reason },
    });
    expect(await nowhere.savedCaches()).toEqual([]);
    expect((await ask(nowhere, said(9), { saved: NAME, conversation: 1 })).note).toMatch(/cannot be saved here/);
  });
});
