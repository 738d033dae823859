/** GGUF's block types: bit for bit what gguf-py's dequantiser makes of the same bytes (reference/fixtures_gguf.py). */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BLOCK_TYPES } from './gguf-blocks';
import type { BlockTypeName } from './matrix';
import { type Files, fixture, openFiles, readJson, readSlices, readValues } from './test/files';

const sha256 = (values: Float32Array) => createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex');

describe('three rows of random blocks', async () => {
  const files: Files = { 'm.gguf': new Uint8Array(readFileSync(fixture('tiny-gguf/blocks.gguf'))) };
  const layout = await openFiles(files);
  const digests = Object.entries<string>(readJson(fixture('tiny-gguf/blocks.json')));
  it.each(digests.map(([type, digest], i) => [type, `model.layers.${i}.mlp.down_proj.weight`, digest]))(
    '%s',
    (type, name, digest) => {
      const { info } = layout.records.get(name)!;
      expect([info.rows, info.cols, info.stored.toUpperCase()]).toEqual([3, 512, type.toUpperCase()]);
      expect(sha256(readValues(files, layout, name))).toBe(digest);
      // One row a slice: bytes that start anywhere.
      expect(sha256(readValues(files, layout, name, 1))).toBe(digest);
      for (const slice of readSlices(files, layout, name)) {
        const { format } = info;
        if (slice.type === 'dense') expect(format).toEqual({ type: slice.dense });
        else if (slice.type === 'packed') {
          const { type: of, block, offsets } = slice.unpack();
          expect(format).toMatchObject({ type: of, block, offset: offsets !== null, levels: slice.levels });
        } else expect(format).toMatchObject({ type: slice.type, block: slice.block, offset: slice.offsets !== null });
      }
    },
  );
  it('covers every type', () => {
    const covered = digests.map(([type]) => type);
    for (const type of Object.keys(BLOCK_TYPES)) expect(covered).toContain(type);
  });
});

describe('sizes', () => {
  /** Bytes of what comes out, scales in f32. */
  const held = (name: BlockTypeName) => {
    const { bytes, elements, unpack } = BLOCK_TYPES[name];
    const { codes, scales, offsets } = unpack(new Uint8Array(3 * bytes));
    return [codes.length, scales.length, offsets?.length ?? 0].map((n) => n / (3 * elements));
  };
  it.each<[BlockTypeName, number[]]>([
    ['Q4_0', [1 / 2, 1 / 32, 0]],
    ['Q4_1', [1 / 2, 1 / 32, 1 / 32]],
    ['Q4_K', [1 / 2, 1 / 32, 1 / 32]],
    ['IQ4_NL', [1 / 2, 1 / 32, 0]],
    ['Q5_0', [1, 1 / 32, 0]],
    ['Q5_1', [1, 1 / 32, 1 / 32]],
    ['Q5_K', [1, 1 / 32, 1 / 32]],
    ['Q6_K', [1, 1 / 16, 0]],
    ['Q8_0', [1, 1 / 32, 0]],
  ])('%s: codes, scales and offsets a weight', (name, expected) => expect(held(name)).toEqual(expected));
});
