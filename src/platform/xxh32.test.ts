import { expect, it } from 'vitest';
import { xxh32 } from './xxh32';

/** What Python's xxhash 3 gives: xxhash.xxh32(bytes(((i * i * 31 + 7) % 256) for i in range(n))).intdigest() */
const PUBLISHED: [number, number][] = [
  [0, 46947589],
  [1, 3018034],
  [3, 252994816],
  [4, 255831223],
  [15, 2819145530],
  [16, 4202552518],
  [17, 3387579010],
  [31, 3177174010],
  [32, 2107167936],
  [100, 1428109801],
  [1000, 4139476560],
  [4099, 2927888182],
  [1 << 20, 133404968],
];

it('is what the published implementation gives, wherever the bytes lie', () => {
  for (const [length, expected] of PUBLISHED) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * i * 31 + 7) % 256);
    expect([length, xxh32(bytes)]).toEqual([length, expected]);
    const shifted = new Uint8Array(length + 3);
    shifted.set(bytes, 3);
    expect([length, xxh32(shifted.subarray(3))]).toEqual([length, expected]);
  }
});

it('is another for every bit that changes', () => {
  const bytes = Uint8Array.from({ length: 101 }, (_, i) => i);
  const found = new Set([xxh32(bytes)]);
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    bytes[bit >> 3] ^= 1 << (bit & 7);
    found.add(xxh32(bytes));
    bytes[bit >> 3] ^= 1 << (bit & 7);
  }
  expect(found.size).toBe(8 * bytes.length + 1);
});
