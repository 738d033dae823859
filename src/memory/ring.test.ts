import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { copySegments, positionIn, slotOf } from './ring';

/** A ring written one position after the other, by plain assignment. */
function written(capacity: number, last: number, first = 0, ring: number[] = new Array(capacity).fill(-1)): number[] {
  for (let p = first; p <= last; p++) ring[slotOf(p, capacity)] = p;
  return ring;
}

const capacity = fc.integer({ min: 1, max: 40 });
const position = fc.integer({ min: -1, max: 130 });

describe('positionIn', () => {
  it('is what plain writing leaves in each slot, and negative where nothing was written', () => {
    fc.assert(
      fc.property(capacity, position, (c, last) => {
        written(c, last).forEach((held, slot) => {
          const said = positionIn(slot, last, c);
          expect(said < 0 ? -1 : said).toBe(held);
        });
      }),
    );
  });
});

describe('copySegments', () => {
  it('leaves the new ring as if it had always been that size', () => {
    fc.assert(
      fc.property(capacity, capacity, position, (oldC, newC, last) => {
        const old = written(oldC, last);
        const fresh = new Array<number>(newC).fill(-1);
        const segments = copySegments(oldC, last, newC);
        for (const { from, to, count } of segments) {
          expect(from + count).toBeLessThanOrEqual(oldC);
          expect(to + count).toBeLessThanOrEqual(newC);
          for (let i = 0; i < count; i++) fresh[to + i] = old[from + i];
        }
        const firstKept = Math.max(0, last + 1 - Math.min(oldC, newC));
        expect(fresh).toEqual(written(newC, last, firstKept));
        expect(segments.length).toBeLessThanOrEqual(3);
      }),
    );
  });
  it('copies a grown ring that never wrapped in one piece', () => {
    expect(copySegments(8, 5, 16)).toEqual([{ from: 0, to: 0, count: 6 }]);
    expect(copySegments(8, -1, 16)).toEqual([]);
  });
});

describe('the window bound', () => {
  /** Writes positions in chunks, then checks that each query of the chunk finds every key of its window. */
  function exact(c: number, window: number, chunk: number, tokens: number): boolean {
    const ring = new Array<number>(c).fill(-1);
    for (let start = 0; start < tokens; start += chunk) {
      const last = Math.min(start + chunk, tokens) - 1;
      written(c, last, start, ring);
      for (let q = start; q <= last; q++) {
        const seen = new Set(ring.map((_, slot) => positionIn(slot, last, c)));
        for (let p = Math.max(0, q - window + 1); p <= q; p++) if (!seen.has(p)) return false;
      }
    }
    return true;
  }
  it('window + chunk - 1 slots are enough and one fewer is not', () => {
    for (const [window, chunk] of [
      [8, 1],
      [8, 4],
      [8, 8],
      [8, 16],
      [1, 1],
      [3, 5],
    ]) {
      const slots = window + chunk - 1;
      expect(exact(slots, window, chunk, 100)).toBe(true);
      if (slots > 1) expect(exact(slots - 1, window, chunk, 100)).toBe(false);
    }
  });
});
