/** A load's files: where they come from, where they are kept, and the locks under which that is. */
import type { ModelStore } from '../store/chunk-store';
import { lastAttempt } from '../store/load-attempt';
import { lockDownload, lockUse } from '../store/locks';
import { isInstalled, modelKey, openStored, type StoredSource } from '../store/stored-source';
import { choiceOfWeights } from './engine-options';
import type { Loading } from './loading';
import type { StoreOrReason } from './model';

const IN_THE_WAY = 'Another tab or program checks or deletes what is kept of this model: it is waited for.';

const DOWNLOADED_ELSEWHERE = 'Another tab or program is downloading this model: it is waited for.';

export interface OpenFiles {
  source: StoredSource;
  /** what the model is kept under, where it is */
  key: string;
  /** where it is kept, or why it is not */
  kept: StoreOrReason;
  /** where the load leaves its mark (store/load-attempt.ts); null: nowhere */
  marks: ModelStore | null;
}

/**
 * Opens the files, when nobody else downloads the model or deletes what is kept of it. What it takes is undone from the
 * load's two lists.
 * @throws network, storage-unavailable, quota-exceeded, aborted
 */
export async function openFiles(loading: Loading): Promise<OpenFiles> {
  const { host, request, options, meter, signal, undoes, passing } = loading;
  const { kept, marks } = await openStores(loading);
  const { store } = kept;
  const choice = choiceOfWeights(options);
  const inner = await host.openSource(request.source, meter.network, meter.note);
  passing.push(() => inner.close?.());
  const key = modelKey(inner);
  const last = marks && (await lastAttempt(marks, key));
  if (last && last.id !== request.left) loading.about ||= last.message;
  if (marks || store) undoes.push(await lockUse(key, signal, () => meter.note(IN_THE_WAY)));
  let downloaded = () => {};
  if (store && !isInstalled(await store.ledger.get(key), choice)) {
    downloaded = await lockDownload(key, signal, () => meter.note(DOWNLOADED_ELSEWHERE));
    passing.push(downloaded);
  }
  meter.note('');
  const source = await openStored(inner, store, {
    choice,
    signal,
    onStored: meter.stored,
    onSize: meter.file,
    ifRoom: options.storage === 'if-room',
  });
  loading.source = source;
  passing.push(() => source.close());
  // another tab has downloaded it meanwhile: the next one need not wait for this one to read it
  if (source.complete) downloaded();
  return { source, key, kept, marks };
}

async function openStores({ host, request, options, meter }: Loading): Promise<Pick<OpenFiles, 'kept' | 'marks'>> {
  const local = request.source.kind === 'files';
  const off = options.storage === 'none';
  const reason = local
    ? 'Files on this device are read where they are.'
    : 'The model is not kept because storage is off.';
  const kept = local || off ? { store: null, reason } : await host.openStore(meter.note);
  if (off || host.marks === false) return { kept, marks: null };
  // files are not kept, but that a tab died of them is
  return { kept, marks: (local ? await host.openStore() : kept).store };
}
