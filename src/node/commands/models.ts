/** nibble models: what the cache folder keeps. */
import { NibbleError, withoutSecrets } from '../../errors';
import type { StoredModel, VerifyResult } from '../../protocol';
import type { ModelStore } from '../../store/chunk-store';
import { whileUnused } from '../../store/locks';
import { SAVED_PREFIX } from '../../store/saved-caches';
import { deleteModel, listModels, verifyModel } from '../../store/stored-models';
import { type Arguments, invalid } from '../arguments';
import { cacheFolder } from '../cache-folder';
import { createFileStore, tidyStore } from '../file-store';
import { nodeHost } from '../host';
import { COMMAND, mib, print } from '../terminal';

/** @throws invalid-option when no model is called so */
function chosen(models: readonly StoredModel[], option: string, name: string): StoredModel[] {
  if (name === 'all') return [...models];
  const found = models.filter((model) => model.key === name || model.name === name || model.name === `${name}/`);
  if (found.length > 0) return found;
  const names = models.map((model) => model.name).join(', ');
  throw invalid(option, name, `No model ${name} is kept. ${names ? `There are: ${names}.` : 'None is.'}`);
}

const lineOf = ({ name, revision, storedBytes, complete, lastUsed }: StoredModel): string =>
  `${mib(storedBytes).padStart(12)}  ${new Date(lastUsed).toISOString().slice(0, 10)}  ${withoutSecrets(name)}${revision ? ` @ ${revision.slice(0, 12)}` : ''}${complete ? '' : '  (in part)'}`;

const sum = (models: readonly StoredModel[]): number => models.reduce((bytes, model) => bytes + model.storedBytes, 0);

/** Deletes the chunks of no model that is known, left by a program that was ended in the middle. */
async function removeUnknown(store: ModelStore): Promise<void> {
  const known = await store.ledger.keys();
  for (const name of await store.chunks.keys('')) {
    if (name.startsWith(SAVED_PREFIX) || known.some((key) => name.startsWith(`${key}/`))) continue;
    // a path may have folders: of all the models that it could be of none may be in use
    const models = [...name.matchAll(/\//g)]
      .map(({ index }) => name.slice(0, index))
      .filter((key) => key.includes('@'));
    const work = models.reduce(
      (inner, key) => () => whileUnused(key, inner),
      () => store.chunks.delete(name),
    );
    await work().catch((error) => {
      if (!(error instanceof NibbleError) || error.details.reason !== 'in-use') throw error;
    });
  }
}

async function remove(
  args: Arguments,
  store: ModelStore,
  folder: string,
  models: readonly StoredModel[],
  all: boolean,
) {
  for (const { key } of models) await whileUnused(key, () => deleteModel(store, key));
  if (all) await removeUnknown(store);
  await tidyStore(folder);
  const freed = sum(models);
  await print(args, { deleted: models.map(({ key }) => key), freed }, () =>
    models.length > 0
      ? `${models.map(({ name }) => withoutSecrets(name)).join(', ')}: ${mib(freed)} are free`
      : 'There was nothing.',
  );
}

async function verify(args: Arguments, store: ModelStore, models: readonly StoredModel[]) {
  const checked: ({ key: string; name: string } & VerifyResult)[] = [];
  for (const { key, name } of models) {
    const result = await whileUnused(key, () => verifyModel(store, key));
    if (result) checked.push({ key, name, ...result });
  }
  const verified = checked.map(({ key, checkedBytes, alteredChunks, missingChunks }) => ({
    key,
    checked_bytes: checkedBytes,
    altered_chunks: alteredChunks,
    missing_chunks: missingChunks,
  }));
  await print(args, { verified }, () =>
    checked
      .map(({ name, checkedBytes, alteredChunks: altered, missingChunks: missing }) =>
        altered + missing === 0
          ? `${withoutSecrets(name)}: ${mib(checkedBytes)} as they were stored`
          : `${withoutSecrets(name)}: ${altered} pieces were altered and are deleted, ${missing} are missing; the next load fetches them`,
      )
      .join('\n'),
  );
}

export async function models(args: Arguments): Promise<void> {
  // locks that other processes see
  nodeHost(null);
  const folder = cacheFolder();
  const store = createFileStore(folder);
  const kept = await listModels(store);
  const unwanted = args.text('delete');
  const doubted = args.text('verify');
  if (unwanted !== undefined && doubted !== undefined) {
    throw invalid('verify', doubted, `${COMMAND} models takes --verify or --delete, not both.`);
  }
  if (unwanted !== undefined) {
    return remove(args, store, folder, chosen(kept, 'delete', unwanted), unwanted === 'all');
  }
  if (doubted !== undefined) return verify(args, store, chosen(kept, 'verify', doubted));
  const list = kept.map(({ key, name, revision, complete, storedBytes, lastUsed }) => ({
    key,
    name,
    revision,
    complete,
    bytes: storedBytes,
    last_used: lastUsed,
  }));
  await print(args, { folder, bytes: sum(kept), models: list }, () =>
    [...kept.map(lineOf), `${kept.length} models, ${mib(sum(kept))} in ${folder}`].join('\n'),
  );
}
