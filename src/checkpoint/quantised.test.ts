import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { denseValues } from '../formats/half';
import type { ReadBytes } from '../formats/layout';
import { type MatrixFormat, NF4_CODEBOOK, type RowSlice } from '../formats/matrix';
import { quantizeInt8 } from '../formats/quantize-int8';
import { quantizeNf4 } from '../formats/quantize-nf4';
import { createMemorySource } from '../sources/memory-source';
import { checkpointOf, openLayout } from './open-checkpoint';
import { QUANTISED, quantisedFile } from './quantised';

const NF4: MatrixFormat = { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK };
const INT8: MatrixFormat = { type: 'q8', block: 'row', offset: false };

const load = (name: string) => {
  const folder = `reference/fixtures/${name}`;
  const files = ['config.json', 'model.safetensors'].map((path): [string, Uint8Array] => [
    path,
    new Uint8Array(readFileSync(`${folder}/${path}`)),
  ]);
  return createMemorySource(name, new Map(files));
};

async function all(slices: AsyncIterable<RowSlice>) {
  const [codes, scales]: [number[], number[]] = [[], []];
  for await (const slice of slices) {
    if (slice.type === 'dense' || slice.type === 'packed') codes.push(...slice.data);
    else {
      codes.push(...slice.codes);
      scales.push(...slice.scales);
    }
  }
  return { codes, scales };
}

describe.each([
  ['nf4', NF4],
  ['int8', INT8],
])('as %s', (_, format) => {
  async function open() {
    const source = load('tiny-llama-128/bf16');
    const layout = await openLayout(source);
    const matrices = [...layout.records].filter(([name, { info }]) => info.rows > 1 && !name.includes('embed'));
    const made = quantisedFile(layout, new Map(matrices.map(([name]) => [name, format])))!;
    const read: ReadBytes = (path, start, end) => source.read(path, start, end);
    return { source, layout, made, read };
  }

  it('holds the codes and scales that quantising the tensor gives, and the other tensors as they are', async () => {
    const { source, layout, made, read } = await open();
    const whole = await made.make(0, made.bytes, read);
    const dense = checkpointOf(layout, source);
    const result = checkpointOf(made.layout, createMemorySource('made', new Map([[QUANTISED, whole]])));
    expect(result.totalBytes).toBe(dense.totalBytes);
    let quantised = 0;
    for (const [name, { rows }] of dense.tensors) {
      const got = await all(result.read(name, { sliceBytes: 5000 }));
      const bytes = Uint8Array.from((await all(dense.read(name))).codes);
      if (rows === 1 || name.includes('embed')) {
        expect(got.codes).toEqual([...bytes]);
        continue;
      }
      quantised++;
      const values = denseValues(bytes, 'bf16');
      const expected = format === NF4 ? quantizeNf4(values) : quantizeInt8(values, values.length / rows);
      expect(got.codes).toEqual([...expected.codes]);
      expect(got.scales).toEqual([...('absmax' in expected ? expected.absmax : expected.scales)]);
    }
    expect(quantised).toBeGreaterThan(6);
  });

  it('is the same in any pieces', async () => {
    const { made, read } = await open();
    const whole = await made.make(0, made.bytes, read);
    for (let i = 0, start = 0; i < 60; i++, start = (start + 7919 * 31) % made.bytes) {
      const end = Math.min(made.bytes, start + 1 + ((i * 4001) % 20_000));
      expect(Buffer.from(await made.make(start, end, read)).equals(whole.subarray(start, end))).toBe(true);
    }
  });
});

it('is not made of a checkpoint that is quantised, nor where nothing is to be', async () => {
  const quantised = await openLayout(load('tiny-llama-128/nf4'));
  const names = [...quantised.records.keys()];
  expect(quantisedFile(quantised, new Map(names.map((name) => [name, NF4])))).toBeNull();
  const dense = await openLayout(load('tiny-llama-128/bf16'));
  expect(quantisedFile(dense, new Map(names.map((name) => [name, { type: 'f16' }])))).toBeNull();
});
