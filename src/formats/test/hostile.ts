/**
 * What the tests of hostile input share, and bench/hostile.ts measures: how many inputs, from which seed, and what an
 * input is. A hundred of each kind in `npm test`, from a seed that is printed; more by `NIBBLE_HOSTILE=2000
 * NIBBLE_SEED=7`.
 */

export const RUNS = Number(process.env.NIBBLE_HOSTILE ?? 100);
export const SEED = Number(process.env.NIBBLE_SEED ?? Math.floor(Math.random() * 2 ** 31));

export interface Hostile {
  /** what it is, for a failure's sentence */
  said: string;
  /** how large it is */
  bytes: number;
  /** Does with it what a load or an answer does. @returns or throws how it ends */
  take(): unknown;
}

/** mulberry32: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
export function randomFrom(seed: number) {
  let state = seed | 0;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n: number) => Math.floor(next() * n);
  return { next, below, pick: <T>(items: readonly T[]): T => items[below(items.length)] };
}
export type Random = ReturnType<typeof randomFrom>;

export const NUMBERS = [-1, 0, 0.5, 1, 7, 4 << 20, 2 ** 31, 2 ** 53, 1e300, null, '100', [], {}, true];
export const WORDS = [
  '../x',
  '/etc/passwd',
  'https://evil.example/x',
  '__proto__',
  'constructor',
  '',
  'a\0b',
  'x'.repeat(1e5),
  '\\',
  'config.json',
  'model.safetensors',
];

/** Any JSON, rather small. */
export function anything(random: Random, depth = 0): unknown {
  const kind = random.below(depth > 3 ? 2 : 5);
  if (kind === 0) return random.pick(NUMBERS);
  if (kind === 1) return random.pick(WORDS);
  if (kind === 2) return Array.from({ length: random.below(4) }, () => anything(random, depth + 1));
  return Object.fromEntries(
    Array.from({ length: random.below(4) }, () => [random.pick(WORDS), anything(random, depth + 1)]),
  );
}

/** A power of ten, larger ones where more is tried. */
export const large = (random: Random) => 10 ** (1 + random.below(RUNS > 100 ? 6 : 5));
