import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type KvShape, type KvType, kvBytes, kvCopies, kvParts } from './kv';
import { copySegments, positionIn } from './ring';

const TYPES: KvType[] = ['f16', 'f32', 'int8'];
const type = fc.constantFrom(...TYPES);
const heads = fc.integer({ min: 1, max: 9 });
const headSize = fc.integer({ min: 1, max: 9 }).map((n) => 4 * n);
const slots = fc.integer({ min: 1, max: 12 });

describe('the parts of a layer', () => {
  it('hold every head once, in order, each at most what a buffer may, unless a head alone is more', () => {
    fc.assert(
      fc.property(
        type,
        heads,
        headSize,
        slots,
        fc.integer({ min: 1, max: 4000 }),
        (type, kvHeads, headSize, slots, most) => {
          const parts = kvParts(type, { kvHeads, headSize }, slots, most);
          let next = 0;
          for (const { firstHead, heads, bytes } of parts) {
            expect(firstHead).toBe(next);
            expect(bytes).toBe(kvBytes(type, headSize, heads, slots));
            expect(bytes <= most || heads === 1).toBe(true);
            next += heads;
          }
          expect(next).toBe(kvHeads);
          // One part fewer would have to hold more heads than fit.
          const fewer = Math.ceil(kvHeads / Math.max(1, parts.length - 1));
          expect(parts.length === 1 || kvBytes(type, headSize, fewer, slots) > most).toBe(true);
        },
      ),
    );
  });

  it('tell how many slots they have by their length', () => {
    fc.assert(
      fc.property(heads, headSize, fc.integer({ min: 1, max: 3000 }), (heads, headSize, slots) => {
        for (const [type, bytes] of [
          ['f16', 2 * headSize],
          ['f32', 4 * headSize],
          ['int8', headSize + 4],
        ] as const) {
          const length = kvBytes(type, headSize, heads, slots);
          expect(Math.floor(length / (heads * bytes))).toBe(slots);
          expect(length % 4).toBe(0);
          // what is read 16 bytes at a time
          if (headSize % 16 === 0) expect(length % 16).toBe(0);
        }
      }),
    );
  });
});

describe('growth', () => {
  /** Where byte `byte` of a head's values (or, from headBytes on, of its scale) stands: memory/kv.ts in words. */
  function address(type: KvType, headSize: number, shape: KvShape, head: number, slot: number, byte: number) {
    const part = shape.parts.findIndex(({ firstHead, heads }) => head >= firstHead && head < firstHead + heads);
    const { firstHead, heads } = shape.parts[part];
    const index = slot * heads + head - firstHead;
    const headBytes = headSize * { f16: 2, f32: 4, int8: 1 }[type];
    const at =
      byte < headBytes ? index * headBytes + byte : shape.slots * heads * headSize + index * 4 + byte - headBytes;
    return { part, at };
  }

  it('brings every byte of every position that both rings hold to its place', () => {
    const limits = fc.integer({ min: 1, max: 2000 });
    fc.assert(
      fc.property(
        type,
        heads,
        headSize,
        slots,
        slots,
        limits,
        limits,
        fc.integer({ min: -1, max: 40 }),
        (type, kvHeads, headSize, oldSlots, newSlots, oldMost, newMost, last) => {
          const shape = (slots: number, most: number) => ({
            slots,
            parts: kvParts(type, { kvHeads, headSize }, slots, most),
          });
          const [old, next] = [shape(oldSlots, oldMost), shape(newSlots, newMost)];
          const from = old.parts.map(({ bytes }, i) =>
            Uint8Array.from({ length: bytes }, (_, b) => (b * 7 + i * 31) % 251),
          );
          const to = next.parts.map(({ bytes }) => new Uint8Array(bytes));
          let copied = 0;
          for (const copy of kvCopies(type, headSize, old, next, copySegments(old.slots, last, next.slots))) {
            // as WebGPU wants it
            expect([copy.from % 4, copy.to % 4, copy.bytes % 4]).toEqual([0, 0, 0]);
            expect(copy.from + copy.bytes).toBeLessThanOrEqual(from[copy.fromPart].length);
            to[copy.toPart].set(from[copy.fromPart].subarray(copy.from, copy.from + copy.bytes), copy.to);
            copied += copy.bytes;
          }
          const row = kvBytes(type, headSize, 1, 1) - (type === 'int8' && headSize % 16 === 0 ? 12 : 0);
          const kept = Math.min(last + 1, oldSlots, newSlots);
          expect(copied).toBe(kept * kvHeads * row);
          for (let slot = 0; slot < newSlots; slot++) {
            const position = positionIn(slot, last, newSlots);
            if (position < 0 || position <= last - oldSlots) continue;
            for (let head = 0; head < kvHeads; head++) {
              for (let byte = 0; byte < row; byte++) {
                const a = address(type, headSize, old, head, position % oldSlots, byte);
                const b = address(type, headSize, next, head, slot, byte);
                expect(to[b.part][b.at]).toBe(from[a.part][a.at]);
              }
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is a few runs where the parts stay, however many slots there are', () => {
    const shape = (slots: number) => ({ slots, parts: kvParts('int8', { kvHeads: 4, headSize: 64 }, slots, 300_000) });
    const [old, next] = [shape(1000), shape(2000)];
    expect([old.parts.length, next.parts.length]).toEqual([1, 2]);
    const copies = (to: typeof old, last: number) =>
      kvCopies('int8', 64, old, to, copySegments(old.slots, last, to.slots));
    expect(copies(shape(1024), 1500).length).toBeLessThanOrEqual(6);
    expect(copies(next, 999)).toHaveLength(2 * 2 * 1000);
  });
});
