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
  const copies: string[][][] = [];
  return {
    /** of the sliding rings */
    copy(place: number) {
      copies[place] = held.slice(1).map((ring) => [...ring]);
    },
    restore(place: number) {
      held.splice(1, held.length, ...copies[place].map((ring) => [...ring]));
    },
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

  it('goes back to a copy exactly where that has every key of every later window, and to the newest that serves', () => {
    const met = { exactly: 0, before: 0, afresh: 0 };
    const chunk = 4;
    const slots = [200, 7 + chunk - 1, 12 + chunk - 1];
    const turns = fc.array(
      fc.record({
        keep: fc.nat({ max: 4 }),
        add: fc.integer({ min: 1, max: 12 }),
        // an answer, of which some steps were encoded ahead and never asked for
        answer: fc.integer({ min: 0, max: 30 }),
        ahead: fc.nat({ max: 3 }),
      }),
      { minLength: 4, maxLength: 12 },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), turns, (places, script) => {
        const rings = new Rings(spec);
        rings.slots.splice(0, 3, ...slots);
        rings.snapshots.places = places;
        const real = written(slots);
        let tokens = 0;
        const ends: number[] = [];
        for (const { keep, add, answer, ahead } of script) {
          const wanted = Math.floor((tokens * keep) / 4);
          const direct = rings.canResume(wanted);
          const at = rings.rewind(wanted, real.restore);
          if (direct) expect(at).toBe(wanted);
          expect(at).toBeLessThanOrEqual(wanted);
          expect(at === 0 || real.finds(at)).toBe(true);
          // the ends of the newest prompts are kept as long as they are true
          while (ends.length > 0 && ends.at(-1)! > wanted) ends.pop();
          if (ends.length > 0) expect(at).toBeGreaterThanOrEqual(ends.at(-1)!);
          met[at === wanted ? 'exactly' : at > 0 ? 'before' : 'afresh']++;
          while (ends.length > 0 && ends.at(-1)! > at) ends.pop();
          const prompt = wanted + add;
          for (let p = at; p < prompt; p += chunk) {
            const last = Math.min(prompt, p + chunk) - 1;
            rings.write(p, last);
            real.write(p, last);
          }
          rings.keep(prompt, real.copy);
          ends.push(prompt);
          if (ends.length > places) ends.shift();
          for (let p = prompt; p < prompt + answer + ahead; p++) {
            rings.write(p, p);
            real.write(p, p);
          }
          tokens = prompt + answer;
          if (tokens > 140) break;
        }
      }),
      { numRuns: 400 },
    );
    for (const count of Object.values(met)) expect(count).toBeGreaterThan(100);
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
