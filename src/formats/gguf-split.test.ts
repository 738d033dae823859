import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { openGguf } from './gguf';
import { ggufParts, onlyGguf } from './gguf-parts';
import { type Files, fixture, inMemory, openFiles, readValues } from './test/files';
import type { Value } from './test/gguf-writer';
import { splitGguf } from './test/split-gguf';

const whole = new Uint8Array(readFileSync(fixture('tiny-gguf/qwen3/model.gguf')));
const digest = (values: Float32Array) => createHash('sha1').update(new Uint8Array(values.buffer)).digest('hex');
const open = (files: Files, named: string) => {
  const { read, size } = inMemory(files);
  return openGguf(named, read, size);
};
const otherArchitecture = (no: number): Record<string, Value> =>
  no === 2 ? { 'general.architecture': ['str', 'llama'] } : {};
const FIRST = 'm-00001-of-00003.gguf';
const [SECOND, THIRD] = ['m-00002-of-00003.gguf', 'm-00003-of-00003.gguf'];
let three: Files;
let count = 0;
beforeAll(async () => {
  count = (await openFiles({ 'm.gguf': whole })).records.size;
  three = await splitGguf(whole, 'm', [5, 7, count - 12]);
});

describe('a GGUF in several files', () => {
  it.each([
    [5, 7],
    [0, 9],
    [1, 1],
  ])('with %i and %i tensors in the first two is the model that was split', async (a, b) => {
    const files = await splitGguf(whole, 'm', [a, b, count - a - b]);
    const single = await openFiles({ 'm.gguf': whole });
    for (const named of Object.keys(files)) {
      const layout = await open(files, named);
      expect(layout.files.map(({ path }) => path)).toEqual([FIRST, SECOND, THIRD]);
      expect(layout.totalBytes).toBe(Object.values(files).reduce((sum, { length }) => sum + length, 0));
      expect(layout.config).toEqual(single.config);
      expect(layout.tokenizer).toEqual(single.tokenizer);
      expect([...layout.records.keys()].sort()).toEqual([...single.records.keys()].sort());
      for (const name of layout.records.keys())
        expect(digest(readValues(files, layout, name))).toBe(digest(readValues({ 'm.gguf': whole }, single, name)));
    }
  });

  it('says which part is missing', async () => {
    for (const [i, path] of [FIRST, SECOND, THIRD].entries()) {
      const { [path]: _, ...others } = three;
      await expect(open(others, THIRD)).rejects.toMatchObject({
        code: 'corrupt-checkpoint',
        message: expect.stringContaining(`The part ${path} is missing (${i + 1} of 3)`),
      });
    }
  });

  const mixed = expect.stringMatching(/different models/);
  it.each([
    ['a part twice', () => ({ ...three, [THIRD]: three[SECOND] }), mixed],
    ['parts in another order', () => ({ ...three, [SECOND]: three[THIRD], [THIRD]: three[SECOND] }), mixed],
    ['a whole file among them', () => ({ ...three, [SECOND]: whole }), mixed],
    [
      'a part of a model in fewer',
      async () => ({ ...three, [SECOND]: (await splitGguf(whole, 'm', [5, count - 5]))['m-00002-of-00002.gguf'] }),
      mixed,
    ],
    [
      'a part of the same number with other tensors',
      async () => ({ ...three, [SECOND]: (await splitGguf(whole, 'm', [5, 8, count - 13]))[SECOND] }),
      mixed,
    ],
    [
      'a part of another architecture',
      async () => ({
        ...three,
        ...(await splitGguf(whole, 'm', [5, 7, count - 12], otherArchitecture)),
        [FIRST]: three[FIRST],
      }),
      mixed,
    ],
  ] as const)('refuses %s', async (_, files, message) => {
    await expect(open(await files(), FIRST)).rejects.toMatchObject({ code: 'corrupt-checkpoint', message });
  });

  it('whose name does not say so is refused with the name that it needs', async () => {
    await expect(open({ 'x.gguf': three[SECOND] }, 'x.gguf')).rejects.toMatchObject({
      code: 'corrupt-checkpoint',
      message: expect.stringMatching(/part 2 of 3.*NAME-00001-of-00003\.gguf/),
    });
  });

  it('that is one file of one is whole, with or without saying it', async () => {
    const one = await splitGguf(whole, 'm', [count]);
    expect((await open(one, 'm-00001-of-00001.gguf')).records.size).toBe(count);
    expect((await open({ 'm-00001-of-00001.gguf': whole }, 'm-00001-of-00001.gguf')).records.size).toBe(count);
  });
});

it('knows the parts of a model by the name of any, and a whole file from one', () => {
  expect(ggufParts('Q4/m-00002-of-00002.gguf')).toEqual(['Q4/m-00001-of-00002.gguf', 'Q4/m-00002-of-00002.gguf']);
  for (const path of ['m.gguf', 'm-1-of-2.gguf', 'm-00001-of-99999.gguf', 'm-00001-of-00000.gguf'])
    expect(ggufParts(path)).toEqual([path]);
});

it.each([
  [['a.gguf', 'README.md'], 'a.gguf'],
  [['m-00002-of-00002.gguf', 'm-00001-of-00002.gguf'], 'm-00001-of-00002.gguf'],
  [['mmproj-model.gguf', 'a.gguf'], 'a.gguf'],
  [['mmproj-model.gguf'], 'mmproj-model.gguf'],
  [['a.gguf', 'b.gguf'], null],
  [['a.txt'], null],
])('of %j the model is %s', (names, only) => expect(onlyGguf(names)).toBe(only));
