import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { slotOf } from './ring';
import { Rings } from './rings';

const WINDOWS = [null, 7, 12];
const spec = {
  contextLength: 300,
  layers: WINDOWS.map((window) => ({
    kind: window === null ? ('global' as const) : ('sliding' as const),
    window,
    rope: null,
  })),
};

/** The same rings with what each slot holds written out: a position and which writing of it. */
function written(slots: readonly number[]) {
  const held = slots.map((count) => new Array<string>(count).fill(''));
  const truth = new Map<number, string>();
  let turn = 0;
  return {
    write(start: number, last: number) {
      turn++;
      for (let p = start; p <= last; p++) {
        truth.set(p, `${p}/${turn}`);
        for (const ring of held) ring[slotOf(p, ring.length)] = `${p}/${turn}`;
      }
    },
    /** whether a token at `position`, written and then attending, finds every key that it sees, as last written */
    finds: (position: number) =>
      held.every((ring, layer) => {
        const first = Math.max(0, position - (WINDOWS[layer] ?? Infinity) + 1);
        for (let p = first; p < position; p++) if (ring[slotOf(p, ring.length)] !== truth.get(p)) return false;
        return true;
      }),
  };
}

describe('Rings', () => {
  it('resumes exactly where every key of every later window is still there, after any writing and taking back', () => {
    const resumed = { yes: 0, no: 0 };
    const chunk = 4;
    const slots = [200, 7 + chunk - 1, 12 + chunk - 1];
    const steps = fc.array(fc.tuple(fc.nat({ max: 60 }), fc.integer({ min: 1, max: chunk })), {
      minLength: 10,
      maxLength: 60,
    });
    fc.assert(
      fc.property(steps, (script) => {
        const rings = new Rings(spec);
        rings.slots.splice(0, 3, ...slots);
        const real = written(slots);
        for (const [back, count] of script) {
          const start = Math.max(0, rings.last + 1 - (back > 30 ? back - 30 : 0));
          const said = rings.canResume(start);
          expect(said).toBe(start === 0 || real.finds(start));
          resumed[said ? 'yes' : 'no']++;
          // what cannot be resumed is prefilled from the start
          for (let at = said ? start : 0; at <= start + count - 1; at += chunk) {
            const last = Math.min(start + count - 1, at + chunk - 1);
            rings.write(at, last);
            real.write(at, last);
          }
          if (rings.last > 150) break;
        }
      }),
      { numRuns: 400 },
    );
    expect(resumed.yes).toBeGreaterThan(100);
    expect(resumed.no).toBeGreaterThan(100);
  });

  it('remembers what a longer attempt has overwritten, through two steps back', () => {
    const rings = new Rings({ ...spec, layers: [spec.layers[1]] });
    rings.slots[0] = 20;
    rings.write(0, 100);
    expect(rings.canResume(90)).toBe(true);
    rings.write(90, 94);
    // 95..100 stood in the slots of 75..80
    expect(rings.canResume(87)).toBe(true);
    expect(rings.canResume(86)).toBe(false);
    expect(rings.canResume(96)).toBe(false);
  });

  it('may write as far as a ring that keeps everything has slots, and over one that is smaller than its bound', () => {
    const rings = new Rings(spec);
    expect(rings.capacity(4)).toBe(0);
    rings.slots.splice(0, 3, 200, 10, 15);
    expect(rings.capacity(4)).toBe(200);
    expect(rings.capacity(5)).toBe(10);
    rings.slots[0] = 1000;
    expect(rings.capacity(4)).toBe(300);
  });
});
