/** Sets of characters, as ranges of code points. */

/** Both ends included; sorted, apart from each other, and without surrogates. */
export type Ranges = readonly (readonly [from: number, to: number])[];

const LAST = 0x10ffff;
const SURROGATES: Ranges = [[0xd800, 0xdfff]];

/** Every character: code points that UTF-8 can have. */
export const ANY_CHARACTER: Ranges = [
  [0, 0xd7ff],
  [0xe000, LAST],
];

/** Sorted and joined; surrogates fall out, for no text has them. */
export function ranges(given: Iterable<readonly [number, number]>): Ranges {
  const sorted = [...given].filter(([from, to]) => from <= to).sort(([a], [b]) => a - b);
  const out: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = out.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else out.push([from, to]);
  }
  const [low, high] = SURROGATES[0];
  return out.flatMap(([from, to]): [number, number][] => {
    if (to < low || from > high) return [[from, to]];
    const parts: [number, number][] = [
      [from, low - 1],
      [high + 1, to],
    ];
    return parts.filter(([a, b]) => a <= b);
  });
}

/** The characters of a text. */
export const charactersOf = (text: string): Ranges =>
  ranges(Array.from(text, (c): [number, number] => [c.codePointAt(0)!, c.codePointAt(0)!]));

export const union = (...sets: readonly Ranges[]): Ranges => ranges(sets.flat());

/** All characters that are not in the set. */
export function without(set: Ranges): Ranges {
  const out: [number, number][] = [];
  let next = 0;
  for (const [from, to] of set) {
    out.push([next, from - 1]);
    next = to + 1;
  }
  out.push([next, LAST]);
  return ranges(out);
}

export function intersection(a: Ranges, b: Ranges): Ranges {
  const out: [number, number][] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const from = Math.max(a[i][0], b[j][0]);
    const to = Math.min(a[i][1], b[j][1]);
    if (from <= to) out.push([from, to]);
    if (a[i][1] < b[j][1]) i++;
    else j++;
  }
  return out;
}

export const difference = (a: Ranges, b: Ranges): Ranges => intersection(a, without(b));

/** Equal for equal sets. */
export const keyOf = (set: Ranges): string => set.map(([from, to]) => `${from}-${to}`).join();

export function has(set: Ranges, code: number): boolean {
  let [low, high] = [0, set.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (set[middle][1] < code) low = middle + 1;
    else high = middle;
  }
  return low < set.length && set[low][0] <= code;
}

/** What a JSON string holds as it is: every character but control characters, the quotation mark and the backslash. */
export const PLAIN: Ranges = difference(ANY_CHARACTER, [
  [0, 0x1f],
  [0x22, 0x22],
  [0x5c, 0x5c],
]);
/** One of them. */
export const PLAIN_EXAMPLE = 0x61;
