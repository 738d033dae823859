/** For tests: random blocks of K-quants. */
import { randomValues } from '../../execute/cpu/test/models';
import { BLOCK_TYPES } from '../../formats/gguf-blocks';
import type { KQuant, PackedRows } from '../../formats/matrix';

/** What each becomes. */
export const K_QUANTS = {
  Q4_K: BLOCK_TYPES.Q4_K.format,
  Q5_K: BLOCK_TYPES.Q5_K.format,
  Q6_K: BLOCK_TYPES.Q6_K.format,
} as const;

/** Blocks, as a reader gives them. */
export function packedRows(levels: KQuant, data: Uint8Array): PackedRows {
  const { bytes, packed, unpack } = BLOCK_TYPES[levels];
  return { type: 'packed', levels, data, block: bytes, halves: packed!.halves, unpack: () => unpack(data) };
}

/** Any bytes, but scales of scales of weights: some of them, subnormal numbers of 16 bits among these, negative. */
export function randomBlocks(levels: KQuant, elements: number, seed: number): PackedRows {
  const { bytes, elements: columns, packed } = BLOCK_TYPES[levels];
  const values = randomValues((elements / columns) * bytes, seed);
  const data = Uint8Array.from(values, (v) => 128 + 127.9 * v);
  for (const half of packed!.halves) {
    for (let at = half, i = 0; at < data.length; at += bytes, i++) {
      // 2^-24 * (1 to 1023), or 2^-10 * (1 to 2)
      data[at + 1] = (data[at + 1] & 0x83) | (i % 3 ? 0x14 : 0);
    }
  }
  return packedRows(levels, data);
}
