import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { moveSegments, slotOf } from './ring';
import { Rings } from './rings';
import { canShift, noteShift, survivors } from './shift';

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
      { numRuns: 1000 },
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
        rings.snapshots.capacity = places;
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

  it('shifts exactly where the next token would find every key that it sees, again and again', () => {
    const shifted = { yes: 0, no: 0, wrapped: 0 };
    const chunk = 4;
    const slots = [200, 7 + chunk - 1, 12 + chunk - 1];
    const step = fc.record({
      write: fc.integer({ min: 1, max: 30 }),
      keep: fc.nat({ max: 12 }),
      drop: fc.integer({ min: 1, max: 60 }),
      /** newest positions that are not part of the conversation */
      beyond: fc.nat({ max: 3 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 2, maxLength: 12 }), (script) => {
        const rings = new Rings(spec);
        rings.slots.splice(0, 3, ...slots);
        // which writing each slot holds, and which writing each position of the conversation is
        let held = slots.map((count) => new Array<number>(count).fill(-1));
        let talk: number[] = [];
        let writing = 0;
        for (const { write, keep, drop, beyond } of script) {
          for (let i = 0; i < write && talk.length < 190; i++) {
            rings.write(talk.length, talk.length);
            for (const ring of held) ring[slotOf(talk.length, ring.length)] = writing;
            talk.push(writing++);
          }
          const end = Math.max(1, talk.length - beyond);
          const shift = { keep, drop, end };
          talk = talk.slice(0, end);
          if (keep + drop > end) {
            expect(canShift(rings, shift)).toBe(false);
            if (!rings.canResume(end)) break;
            continue;
          }
          const wanted = [...talk.slice(0, keep), ...talk.slice(keep + drop)];
          const moved = held.map((old, layer) => {
            const ring = new Array<number>(old.length).fill(-1);
            const { stay, move } = survivors(rings, layer, shift);
            const segments = [
              ...moveSegments(stay.from, stay.to, 0, old.length, old.length),
              ...moveSegments(move.from, move.to, drop, old.length, old.length),
            ];
            for (const { from, to, count } of segments) ring.splice(to, count, ...old.slice(from, from + count));
            return ring;
          });
          // the next token at wanted.length sees so many positions before it
          const finds = moved.every((ring, layer) => {
            const first = Math.max(0, wanted.length - (WINDOWS[layer] ?? Infinity) + 1);
            for (let p = first; p < wanted.length; p++) if (ring[slotOf(p, ring.length)] !== wanted[p]) return false;
            return true;
          });
          expect(canShift(rings, shift)).toBe(finds);
          shifted[finds ? 'yes' : 'no']++;
          if (!finds) break;
          if (talk.length > 30) shifted.wrapped++;
          noteShift(rings, shift);
          held = moved;
          talk = wanted;
          expect(rings.last).toBe(talk.length - 1);
          expect(rings.canResume(talk.length)).toBe(true);
        }
      }),
      { numRuns: 600 },
    );
    expect(shifted.yes).toBeGreaterThan(300);
    expect(shifted.wrapped).toBeGreaterThan(100);
    expect(shifted.no).toBeGreaterThan(50);
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
