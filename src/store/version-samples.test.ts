import { expect, it } from 'vitest';
import { CHUNK_BYTES } from './chunk-store';
import { spreadOver, thinned } from './version-samples';

it('one place in each quarter of a chunk, its bytes as they are', () => {
  const chunk = Uint8Array.from({ length: 200_000 }, (_, i) => i % 251);
  const parts = spreadOver(3, chunk);
  expect(parts.map(({ start }) => Math.floor((start - 3 * CHUNK_BYTES) / 50_000))).toEqual([0, 1, 2, 3]);
  for (const { start, bytes } of parts) {
    const at = start - 3 * CHUNK_BYTES;
    expect(bytes).toEqual(chunk.slice(at, at + (16 << 10)));
  }
});

it('a chunk of fewer bytes is compared as a whole', () => {
  const parts = spreadOver(0, Uint8Array.of(1, 2, 3, 4, 5));
  expect(parts.flatMap(({ bytes }) => [...bytes])).toEqual([1, 2, 3, 4, 5]);
});

it('no more places are compared than are worth a request, and they come from all over', () => {
  const parts = Array.from({ length: 4000 }, (_, start) => ({ start, bytes: Uint8Array.of(0) }));
  const few = thinned(parts);
  expect(few.length).toBe(32);
  expect(few.at(-1)!.start).toBeGreaterThan(3800);
  expect(thinned(parts.slice(0, 5))).toEqual(parts.slice(0, 5));
});
