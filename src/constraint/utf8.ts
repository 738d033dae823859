/** Sets of characters as sequences of ranges of UTF-8 bytes. */
import type { Ranges } from './characters';

export type ByteRange = readonly [from: number, to: number];

/** The last code point of each length, in bytes. */
const LASTS = [0x7f, 0x7ff, 0xffff, 0x10ffff];

function bytesOf(code: number): number[] {
  if (code < 0x80) return [code];
  const bytes: number[] = [];
  const length = LASTS.findIndex((last) => code <= last) + 1;
  for (let i = 1; i < length; i++) {
    bytes.unshift(0x80 | (code & 0x3f));
    code >>= 6;
  }
  bytes.unshift(((0xf00 >> length) & 0xff) | code);
  return bytes;
}

/**
 * Sequences of byte ranges whose products together are the UTF-8 of a set, each character once (Thompson's and Russ
 * Cox's construction: a range is cut where a continuation byte would not run from 80 to BF).
 */
export function byteSequences(set: Ranges): ByteRange[][] {
  const out: ByteRange[][] = [];
  const add = (from: number, to: number): void => {
    for (const last of LASTS)
      if (from <= last && to > last) {
        add(from, last);
        add(last + 1, to);
        return;
      }
    if (to > 0x7f) {
      for (let bits = 6; bits <= 18; bits += 6) {
        const mask = 2 ** bits - 1;
        if (from >> bits === to >> bits) continue;
        if ((from & mask) !== 0) {
          add(from, from | mask);
          add((from | mask) + 1, to);
          return;
        }
        if ((to & mask) !== mask) {
          add(from, (to & ~mask) - 1);
          add(to & ~mask, to);
          return;
        }
      }
    }
    const high = bytesOf(to);
    out.push(bytesOf(from).map((low, i): ByteRange => [low, high[i]]));
  };
  for (const [from, to] of set) add(from, to);
  return out;
}
