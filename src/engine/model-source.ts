/**
 * What a caller may call a model:
 *
 *   string, URL                  its name (src/options/model-name.ts)
 *   File, File[], FileList       chosen or dropped files: a folder's, or one .gguf
 *   FileSystemDirectoryHandle    a folder from showDirectoryPicker()
 *   ModelFiles                   what was dropped, from modelFromDrop()
 */
import { NibbleError } from '../errors';
import { baseOf, parseModelName } from '../options/model-name';
import { refuse, shown } from '../options/spec';
import type { NamedFile, SourceDescription } from '../sources/source';
import { environment } from './environment';
import type { HubOptions } from './hub-options';
import { filesInHandle, type ModelFiles, namedFiles, oneModel } from './model-files';

/**
 * How a model is named.
 * - `'org/name'`: a repository of the Hugging Face Hub; `'org/name/file.gguf'`: one file of it
 * - `'https://…/folder/'`: a folder in Hugging Face layout; `'https://…/file.gguf'`: one file
 * - `'./path'`, `'../path'`, `'/path'`: the same, relative to the page; in Node a folder or file on the disk
 * - a `URL`: the same as its text
 * - a `File`, several, or a `FileList`: a folder's files, or one .gguf
 * - a `FileSystemDirectoryHandle`: a folder from showDirectoryPicker()
 * - `ModelFiles`: what was dropped, from modelFromDrop()
 */
export type ModelInput = string | URL | File | readonly File[] | FileList | FileSystemDirectoryHandle | ModelFiles;

const INPUTS =
  'org/name of the Hub, a URL, a path that begins with ./ or /, a File, a list of Files, a folder, or what modelFromDrop() gave';

/**
 * @param option what the caller calls it
 * @throws invalid-option for anything else, and for hub options without a Hub id; storage-unavailable for a folder that
 * cannot be read
 */
export async function describeModel(
  given: ModelInput,
  { revision, token, hub }: HubOptions = {},
  base = globalThis.document?.baseURI ?? globalThis.location?.href,
  option = 'model',
): Promise<SourceDescription> {
  const model = given instanceof URL ? given.href : given;
  if (typeof model === 'string' && environment.locate) return environment.locate(model, { revision, token, hub });
  const named = typeof model === 'string' ? parseModelName(model, base) : null;
  if (named?.kind === 'hub') return { ...named, revision, token, hub };
  if (revision !== undefined || token !== undefined || hub !== undefined) {
    throw new NibbleError('invalid-option', 'revision, token and hub are for models of the Hub, named as org/name.');
  }
  if (typeof model === 'string') {
    if (named) return { kind: 'http', base: baseOf(named.url) };
    const text = `${shown(model)} names no model: give org/name of the Hub, a URL, or a path that begins with ./ or /.`;
    throw new NibbleError('invalid-option', text, { option: 'model', value: model.slice(0, 200) });
  }
  if (isFile(model)) return { kind: 'files', ...oneModel(namedFiles([model])) };
  if (isObject(model)) {
    if ('kind' in model && 'values' in model)
      return { kind: 'files', ...oneModel(await readable(filesInHandle(model)), model.name) };
    if ('files' in model && Array.isArray(model.files) && model.files.every(isNamed)) {
      // copied: a framework's watched objects cannot be sent to the worker
      return { kind: 'files', name: String(model.name), files: model.files.map(({ path, file }) => ({ path, file })) };
    }
    if (isFiles(model)) return { kind: 'files', ...oneModel(namedFiles(model)) };
  }
  return refuse(option, model, INPUTS);
}

const isObject = (model: unknown): model is object => typeof model === 'object' && model !== null;

/** A permission may have lapsed since the folder was chosen, or the folder is gone. */
async function readable<T>(files: Promise<T>): Promise<T> {
  try {
    return await files;
  } catch (cause) {
    const text = `The folder cannot be read (${cause}). Choose it again.`;
    throw new NibbleError('storage-unavailable', text, {}, { cause });
  }
}

const isNamed = (named: unknown): named is NamedFile =>
  isObject(named) && 'path' in named && typeof named.path === 'string' && 'file' in named && named.file instanceof Blob;

const isFile = (model: unknown): model is File => model instanceof Blob && 'name' in model;

const isFiles = (model: object): model is ArrayLike<File> =>
  'length' in model && Array.from(model as ArrayLike<unknown>).every(isFile);
