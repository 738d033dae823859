import { expect, it } from 'vitest';
import { createMemoryStore } from './chunk-store';
import { deleteSaved, listSaved, openSaved, SAVED_PREFIX, writeSaved } from './saved-caches';

const HEADER = { computedWith: {}, talk: { ids: [1, 2] }, oldest: [0] };
async function* rows() {
  yield { layer: 0, from: 0, end: 2, bytes: new Uint8Array([1, 2, 3]) };
}

it('what a later version has saved is not used, listed, replaced or deleted, and keeps its pieces', async () => {
  const store = createMemoryStore();
  const save = (name: string) => writeSaved(store, { name, model: 'm', revision: null }, HEADER, rows());
  await save('old');
  const record = { format: 2, generation: 'g', contents: { layout: 'unknown' }, model: 'm' };
  await store.saved.put('new', record);
  const piece = `${SAVED_PREFIX}new/in another way#0`;
  await store.chunks.put(piece, { sha256: '', bytes: new Uint8Array([4]) });

  await expect(save('new')).rejects.toMatchObject({
    code: 'storage-unavailable',
    details: { reason: 'later-version' },
  });
  await expect(openSaved(store, 'new')).rejects.toMatchObject({ code: 'integrity-mismatch' });
  expect((await listSaved(store)).map(({ name }) => name)).toEqual(['old']);
  await deleteSaved(store, { name: 'new' });
  await deleteSaved(store, { model: 'm' });
  expect(await store.saved.keys()).toEqual(['new']);
  expect(await store.saved.get('new')).toEqual(record);
  expect(await store.chunks.keys('')).toEqual([piece]);
});
