import { expect, it } from 'vitest';
import { ANY_CHARACTER, charactersOf, has, type Ranges, without } from './characters';
import { compile } from './program';
import { byteTree, ENDS } from './utf8';

const letters: Ranges = Array.from({ length: 2000 }, (_, i): [number, number] => [
  0xc0 + 7 * i,
  0xc0 + 7 * i + (i % 5),
]);
const SETS: [string, Ranges][] = [
  ['all', ANY_CHARACTER],
  ['some letters', charactersOf('azé€😀')],
  ['many ranges', letters],
  ['all but those', without(letters)],
];

it.each(SETS)('the tree of a set reads its characters, each byte in one way: %s', (_, set) => {
  const tree = byteTree(set);
  for (const node of tree) for (let i = 1; i < node.length; i++) expect(node[i].from).toBeGreaterThan(node[i - 1].to);
  const reads = (code: number): boolean => {
    let at = tree.length - 1;
    for (const byte of new TextEncoder().encode(String.fromCodePoint(code))) {
      if (at === ENDS) return false;
      const way = tree[at].find(({ from, to }) => from <= byte && byte <= to);
      if (!way) return false;
      at = way.target;
    }
    return at === ENDS;
  };
  const wrong: number[] = [];
  for (let code = 0; code <= 0x10ffff; code += code < 0x4000 ? 1 : 251)
    if ((code < 0xd800 || code > 0xdfff) && reads(code) !== has(set, code)) wrong.push(code);
  expect(wrong).toEqual([]);
});

it('a large set is there once, however often it is read', () => {
  const one = { type: 'set', set: letters } as const;
  const size = (times: number) =>
    compile({ start: { type: 'all', parts: Array(times).fill(one) }, rules: new Map() }, () => false, 'pattern').nodes
      .length;
  expect(size(1)).toBeGreaterThan(20);
  expect(size(50) - size(2)).toBe(48);
});
