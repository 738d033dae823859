/**
 * From what a person chose or dropped to the files of one model, by their paths in its folder. A folder may hold the
 * model deeper down (a Hub cache's `snapshots/<commit>`, a folder of one model): the shallowest config.json counts.
 */
import { NibbleError } from '../errors';
import { refuse } from '../options/spec';
import type { NamedFile } from '../sources/source';

/** The files of one model: what modelFromDrop() gives and load() takes. */
export interface ModelFiles {
  /** Name of its folder or file. */
  name: string;
  /** Its files, by their paths in its folder. */
  files: NamedFile[];
}

/** deeper folders are no model's */
const MAX_DEPTH = 8;

export function namedFiles(files: ArrayLike<File>): NamedFile[] {
  return Array.from(files, (file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** Every file in a folder, by its path from there. */
export async function filesInHandle(folder: FileSystemDirectoryHandle, path = '', depth = 0): Promise<NamedFile[]> {
  const found: NamedFile[] = [];
  if (depth > MAX_DEPTH) return found;
  for await (const entry of (folder as unknown as { values(): AsyncIterable<FileSystemHandle> }).values()) {
    const at = path + entry.name;
    if (entry.kind === 'file') found.push({ path: at, file: await (entry as FileSystemFileHandle).getFile() });
    else found.push(...(await filesInHandle(entry as FileSystemDirectoryHandle, `${at}/`, depth + 1)));
  }
  return found;
}

async function filesInEntry(entry: FileSystemEntry, path = '', depth = 0): Promise<NamedFile[]> {
  const at = path + entry.name;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{ path: at, file }];
  }
  if (depth > MAX_DEPTH) return [];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: NamedFile[] = [];
  for (;;) {
    // a hundred at a time, and none when that was all
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return found;
    for (const child of some) found.push(...(await filesInEntry(child, `${at}/`, depth + 1)));
  }
}

/**
 * The model in a drop: files, or a folder. Call it in the drop's event handler, before any await: the browser empties
 * the DataTransfer when the handler returns.
 * @throws invalid-option when no file was dropped, when it holds several models
 * @throws storage-unavailable when what was dropped cannot be read
 */
export async function modelFromDrop(drop: DataTransfer): Promise<ModelFiles> {
  if (!drop?.items || !drop.files) refuse('drop', drop, 'the DataTransfer of a drop event, event.dataTransfer');
  const entries = Array.from(drop.items, (item) => (item.kind === 'file' ? item.webkitGetAsEntry() : null));
  const plain = namedFiles(drop.files);
  try {
    const dropped = await Promise.all(entries.filter((entry) => entry !== null).map((entry) => filesInEntry(entry)));
    return oneModel(dropped.length > 0 ? dropped.flat() : plain);
  } catch (cause) {
    if (cause instanceof NibbleError) throw cause;
    const message = `What was dropped cannot be read (${cause}). Choose the files instead.`;
    throw new NibbleError('storage-unavailable', message, {}, { cause });
  }
}

/**
 * The files of the one model among `files`, with their paths in its folder.
 * @throws invalid-option when there is none, and when there are several with nothing to choose by
 */
export function oneModel(files: readonly NamedFile[], name?: string): ModelFiles {
  const none = (message: string, models: string[] = []) =>
    new NibbleError('invalid-option', message, { option: 'model', models: models.slice(0, 20) });
  if (files.length === 0) throw none('No files were chosen. Choose a model’s folder, its files, or one .gguf.');
  const depth = (path: string) => path.split('/').length;
  const configs = files.map(({ path }) => path).filter((path) => /(^|\/)config\.json$/.test(path));
  const top = Math.min(...configs.map(depth));
  const nearest = configs.filter((path) => depth(path) === top);
  if (nearest.length > 1)
    throw none(`These are several models: ${nearest.slice(0, 5).join(', ')}. Choose one.`, nearest);
  if (nearest.length === 1) {
    const folder = nearest[0].slice(0, -'config.json'.length);
    const own = files.filter(({ path }) => path.startsWith(folder));
    return {
      name: folder.split('/').at(-2) ?? name ?? own[0].file.name,
      files: own.map(({ path, file }) => ({ path: path.slice(folder.length), file })),
    };
  }
  const ggufs = files.filter(({ path }) => path.endsWith('.gguf'));
  // what is beside a model that sees is none by itself
  const models = ggufs.filter(({ path }) => ggufs.length === 1 || !/(^|\/)mmproj/i.test(path));
  // NAME-00001-of-00003.gguf and so on are one
  const names = [...new Set(models.map(({ path }) => path.replace(/-\d{5}(-of-\d{5}\.gguf)$/, '-00001$1')))];
  if (names.length > 1) throw none(`These are several models: ${names.slice(0, 5).join(', ')}. Choose one.`, names);
  if (names.length === 1)
    return {
      name: names[0].split('/').at(-1)!,
      files: models.map(({ file }) => ({ path: file.name, file })),
    };
  if (files.some(({ path }) => /(^|\/)adapter_config\.json$/.test(path)))
    throw none('This is a LoRA adapter and no model: load its base model, and give this as `lora`.');
  throw none(
    'There is no config.json and no .gguf among the files. Choose a model’s folder, all its files, or one .gguf.',
  );
}
