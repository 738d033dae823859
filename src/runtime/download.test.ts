import { expect, it } from 'vitest';
import type { EngineOptions, Progress } from '../protocol';
import { createMemoryStore, type ModelStore } from '../store/chunk-store';
import { createSession, type Session } from './session';
import { fixture, host, load } from './test/tiny';

const source = { kind: 'http', base: 'http://unused/' } as const;

function download(session: Session, options: EngineOptions = {}) {
  const progress: Progress[] = [];
  const done = session.download({ id: 7, source, options }, { postMessage: (message) => void progress.push(message) });
  return { done, progress };
}

it('keeps all that a load reads: the next one asks for nothing, and none was loaded', async () => {
  const store = createMemoryStore();
  const session = createSession(host({ store }));
  const { done, progress } = download(session);
  await done;
  const { phase, loadedBytes, totalBytes } = progress.at(-1)!;
  expect([phase, loadedBytes]).toEqual(['ready', totalBytes]);
  await expect(session.info()).rejects.toThrow('No model is loaded');
  expect(await session.stored(source)).toMatchObject({ complete: true });
  const requests = { count: 0 };
  await load(createSession(host({ store, requests })));
  expect(requests.count).toBe(0);
  // nor does another download
  await download(createSession(host({ store, requests }))).done;
  expect(requests.count).toBe(0);
  // it holds nothing that is in the way of a deletion
  await session.forget({ kind: 'stored', key: 'tiny@' });
  expect(await session.storedModels()).toEqual([]);
});

it('that is stopped keeps what has come, and can be begun again', async () => {
  const store: ModelStore = createMemoryStore();
  const session = createSession(host({ store }));
  const first = session.download(
    { id: 7, source, options: {} },
    { postMessage: ({ phase }) => void (phase === 'download' && session.cancel(7)) },
  );
  await expect(first).rejects.toMatchObject({ code: 'aborted' });
  expect((await session.stored(source))?.complete).toBe(false);
  await download(session).done;
  expect(await session.stored(source)).toMatchObject({ complete: true });
});

it('where nothing is kept, and of what cannot be used, is refused', async () => {
  await expect(download(createSession(host())).done).rejects.toMatchObject({
    code: 'storage-unavailable',
    message: 'nothing is kept here',
  });
  const off = createSession(host({ store: createMemoryStore() }));
  await expect(download(off, { storage: 'none' }).done).rejects.toMatchObject({ code: 'storage-unavailable' });
  const files = fixture();
  files.delete('manifest.json');
  files.set('config.json', new TextEncoder().encode('{"model_type":"nothing"}'));
  const odd = createSession(host({ store: createMemoryStore(), files }));
  await expect(download(odd).done).rejects.toMatchObject({ code: 'unsupported-architecture' });
});
