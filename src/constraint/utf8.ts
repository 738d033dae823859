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

/** A node of a tree: what each byte leads to, in order; ENDS: the character is whole. */
export type ByteNode = readonly { readonly from: number; readonly to: number; readonly target: number }[];
export const ENDS = -1;

/**
 * The UTF-8 of a set's characters as the smallest automaton of bytes: one way at most for each byte, and nodes that are
 * followed by the same are one. A node comes behind those that it leads to; the last is the first to read.
 */
export function byteTree(set: Ranges): readonly ByteNode[] {
  const nodes: ByteNode[] = [];
  const numbers = new Map<string, number>();
  const sequences = byteSequences(set);
  // sequences with the same beginning are beside each other; beginnings that are not the same have no byte in common
  const build = (from: number, end: number, depth: number): number => {
    const node: { from: number; to: number; target: number }[] = [];
    for (let i = from; i < end; ) {
      const [low, high] = sequences[i][depth];
      let next = i + 1;
      while (next < end && sequences[next][depth][0] === low && sequences[next][depth][1] === high) next++;
      const target = sequences[i].length === depth + 1 ? ENDS : build(i, next, depth + 1);
      const last = node.at(-1);
      if (last && last.target === target && last.to + 1 === low) last.to = high;
      else node.push({ from: low, to: high, target });
      i = next;
    }
    const key = JSON.stringify(node);
    const same = numbers.get(key);
    if (same !== undefined) return same;
    const number = nodes.push(node) - 1;
    numbers.set(key, number);
    return number;
  };
  if (sequences.length > 0) build(0, sequences.length, 0);
  return nodes;
}
