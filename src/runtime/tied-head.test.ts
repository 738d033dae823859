/** A head of its own in a checkpoint whose config says it has none: used and said, as transformers 5.24 does. */
import { expect, it } from 'vitest';
import { QUANTISED } from '../checkpoint/quantised';
import { type Files, fixture, loadFolder, openFiles } from '../formats/test/files';
import { type AnyTensor, rewritten, sharded, tensorsOf } from '../formats/test/rewrite';
import type { SourceDescription } from '../sources/source';
import { createMemoryStore } from '../store/chunk-store';
import { createSession } from './session';
import { ask, host, load } from './test/tiny';

const MODEL = loadFolder(fixture('lora/tiny-qwen2-lora'));
const EMBEDDING = 'model.embed_tokens.weight';
const HEAD = 'lm_head.weight';
const table = tensorsOf(MODEL['model.safetensors']).find(({ name }) => name === EMBEDDING)!;
const head = (data: Uint8Array, more: Partial<AnyTensor> = {}) => ({ ...table, name: HEAD, data, ...more });
/** the table upside down */
const OTHER = table.data.map((_, i, all) => all[all.length - 2 - (i & ~1) + (i & 1)]);
const withHead = (own: AnyTensor) => rewritten(MODEL, (all) => [...all, own]);
const untied = (files: Files): Files => {
  const config = JSON.parse(Buffer.from(files['config.json']).toString());
  return { ...files, 'config.json': Buffer.from(JSON.stringify({ ...config, tie_word_embeddings: false })) };
};
const options = { backend: 'cpu', kv: 'f32' } as const;
/** files on this device: elsewhere looking at a model asks for config.json alone */
const HERE: SourceDescription = { kind: 'files', name: 'm', files: [] };

async function answerOf(files: Files, store = createMemoryStore()) {
  const session = createSession(host({ files: new Map(Object.entries(files)), store }));
  const { info } = await load(session, options);
  const { result } = await ask(session, { ids: [5, 9, 33] }, { maxNewTokens: 8, temperature: 0, ignoreEos: true });
  const cost = await createSession(host({ files: new Map(Object.entries(files)) })).inspect({ source: HERE, options });
  return {
    ids: result.ids,
    notes: info.notes,
    weights: result.memory.weights,
    parameters: info.parameters,
    cost,
    store,
  };
}

const said = [expect.stringMatching(/head of its own \(lm_head\.weight\), which differs: it is used/)];

it.each([
  ['in one file', (files: Files) => files],
  ['in shards', (files: Files) => sharded(files, [9, tensorsOf(files['model.safetensors']).length - 9], (map) => map)],
])('that differs is used and said, %s', async (_, shape) => {
  const own = withHead(head(OTHER));
  const [seen, right, tied] = [await answerOf(shape(own)), await answerOf(untied(own)), await answerOf(MODEL)];
  expect(seen).toMatchObject({ ids: right.ids, weights: right.weights, parameters: right.parameters, notes: said });
  expect(seen.cost).toMatchObject({ notes: said, parameters: right.parameters });
  expect(seen.ids).not.toEqual(tied.ids);
  expect([right.notes, right.cost.notes, tied.notes, tied.cost.notes]).toEqual([[], [], [], []]);
  // what was made of it is here, with its head
  expect(await answerOf(shape(own), seen.store)).toMatchObject({ ids: right.ids, notes: said });
});

it('that an older version did not keep is made anew', async () => {
  const files = withHead(head(OTHER));
  const { store, ids } = await answerOf(files);
  const [key] = await store.ledger.keys();
  const record = (await store.ledger.get(key))!;
  record.files[QUANTISED].bytes! -= 36;
  await store.ledger.put(record);
  expect(await answerOf(files, store)).toMatchObject({ ids, notes: said });
  expect((await store.ledger.get(key))!.files[QUANTISED].bytes).toBe(record.files[QUANTISED].bytes! + 36);
});

it('that differs in its last byte, or in its type, is used', async () => {
  const last = table.data.slice();
  last[last.length - 1] ^= 1;
  for (const own of [head(last), head(new Uint8Array(2 * table.data.length), { dtype: 'F32' })]) {
    const { config, notes } = await openFiles(withHead(own));
    expect([config.tie_word_embeddings, notes]).toEqual([false, said]);
  }
});

it('that is the embedding once more is not held twice', async () => {
  const [seen, tied] = [await answerOf(withHead(head(table.data))), await answerOf(MODEL)];
  expect(seen).toMatchObject({ ids: tied.ids, weights: tied.weights, notes: [] });
  expect(seen.cost).toMatchObject({ notes: [], parameters: tied.parameters });
});

it('alone is the embedding, too', async () => {
  const alone = rewritten(MODEL, (all) => [...all.filter(({ name }) => name !== EMBEDDING), head(table.data)]);
  const [seen, tied] = [await answerOf(alone), await answerOf(MODEL)];
  expect(seen).toMatchObject({ ids: tied.ids, weights: tied.weights, notes: [] });
});

it('of another vocabulary is refused with both sizes', async () => {
  const files = withHead(head(table.data.slice(0, 128), { shape: [1, 64] }));
  await expect(answerOf(files)).rejects.toMatchObject({
    code: 'corrupt-checkpoint',
    message: expect.stringMatching(/lm_head\.weight has shape \[1, 64\] where config\.json calls for \[131, 64\]/),
  });
});
