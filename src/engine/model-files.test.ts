import { describe, expect, it } from 'vitest';
import { filesInHandle, modelFromDrop, oneModel } from './model-files';

const file = (path: string) => ({ path, file: new File([path], path.split('/').at(-1)!) });
const paths = (files: { path: string }[]) => files.map(({ path }) => path);

type Tree = { [name: string]: Tree | null };

/** A folder as showDirectoryPicker() gives it. */
const handle = (name: string, tree: Tree | null): FileSystemHandle =>
  ({
    kind: tree ? 'directory' : 'file',
    name,
    getFile: async () => new File([name], name),
    async *values() {
      for (const [child, below] of Object.entries(tree ?? {})) yield handle(child, below);
    },
  }) as unknown as FileSystemHandle;

/** The same as a drop gives it: in batches, with callbacks. */
const entry = (name: string, tree: Tree | null): FileSystemEntry =>
  ({
    isFile: tree === null,
    name,
    file: (done: (file: File) => void) => done(new File([name], name)),
    createReader() {
      const batches = Object.entries(tree ?? {}).map(([child, below]) => [entry(child, below)]);
      return { readEntries: (done: (entries: FileSystemEntry[]) => void) => done(batches.shift() ?? []) };
    },
  }) as unknown as FileSystemEntry;

const drop = (entries: FileSystemEntry[], files: File[] = []) =>
  ({ items: entries.map((at) => ({ kind: 'file', webkitGetAsEntry: () => at })), files }) as unknown as DataTransfer;

const MODEL: Tree = { 'config.json': null, 'model.safetensors': null, onnx: { 'model.onnx': null } };

describe('the one model among files', () => {
  it.each<[string, string[], string, string[]]>([
    ['loose files', ['config.json', 'a.safetensors'], 'config.json', ['config.json', 'a.safetensors']],
    ['a folder', ['m/config.json', 'm/sub/x.bin'], 'm', ['config.json', 'sub/x.bin']],
    [
      'a Hub cache',
      [
        'models--o--m/refs/main',
        'models--o--m/snapshots/abc/config.json',
        'models--o--m/snapshots/abc/model.safetensors',
      ],
      'abc',
      ['config.json', 'model.safetensors'],
    ],
    ['a folder with another in it', ['m/config.json', 'm/old/config.json'], 'm', ['config.json', 'old/config.json']],
    ['one .gguf among others', ['d/README.md', 'd/x.gguf'], 'x.gguf', ['x.gguf']],
    ['one .gguf and its eyes', ['d/mmproj-x.gguf', 'd/x.gguf'], 'x.gguf', ['x.gguf']],
    [
      'a .gguf in parts',
      ['d/x-00002-of-00002.gguf', 'd/x-00001-of-00002.gguf'],
      'x-00001-of-00002.gguf',
      ['x-00002-of-00002.gguf', 'x-00001-of-00002.gguf'],
    ],
  ])('%s', (_, given, name, expected) => {
    const model = oneModel(given.map(file));
    expect([model.name, paths(model.files)]).toEqual([name, expected]);
  });

  it.each([
    ['nothing', [], /No files/],
    ['neither config nor .gguf', ['a.txt'], /no config\.json and no \.gguf/],
    ['an adapter', ['a/adapter_config.json', 'a/adapter_model.safetensors'], /LoRA adapter and no model/],
    ['parts of two models', ['x-00001-of-00002.gguf', 'y-00001-of-00002.gguf'], /several models/],
    ['two folders', ['a/config.json', 'b/config.json'], /several models: a\/config\.json, b\/config\.json/],
    ['two .gguf', ['a.gguf', 'b.gguf'], /several models: a\.gguf, b\.gguf/],
  ])('not %s', (_, given, message) => {
    expect(() => oneModel(given.map(file))).toThrow(
      expect.objectContaining({ code: 'invalid-option', message: expect.stringMatching(message) }),
    );
  });
});

describe('folders', () => {
  it('are read to the bottom, from a handle', async () => {
    const files = await filesInHandle(handle('m', MODEL) as FileSystemDirectoryHandle);
    expect(paths(files)).toEqual(['config.json', 'model.safetensors', 'onnx/model.onnx']);
  });

  it('and from a drop', async () => {
    const model = await modelFromDrop(drop([entry('m', MODEL)]));
    expect([model.name, paths(model.files)]).toEqual(['m', ['config.json', 'model.safetensors', 'onnx/model.onnx']]);
    const loose = await modelFromDrop(drop([entry('config.json', null), entry('model.safetensors', null)]));
    expect(paths(loose.files)).toEqual(['config.json', 'model.safetensors']);
  });

  it('a drop without entries has files; one of text has none', async () => {
    expect(await modelFromDrop(drop([], [new File([], 'x.gguf')]))).toMatchObject({ name: 'x.gguf' });
    await expect(modelFromDrop(drop([]))).rejects.toMatchObject({ code: 'invalid-option' });
    const broken = { isFile: true, name: 'x', file: (_: unknown, fail: (e: Error) => void) => fail(new Error('gone')) };
    await expect(modelFromDrop(drop([broken as unknown as FileSystemEntry]))).rejects.toMatchObject({
      code: 'storage-unavailable',
      message: /gone/,
    });
  });
});
