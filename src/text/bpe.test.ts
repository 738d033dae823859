import { describe, expect, it, vi } from 'vitest';
import { fixture, readJson } from '../formats/test/files';
import { Bpe } from './bpe';
import { Merging } from './merging';
import { PairMap } from './pair-map';
import type { TokenizerParts } from './tokenizer-json';

interface Case {
  model: TokenizerParts['model'] & { vocab: Record<string, number> };
  words: string[];
  ids: number[][];
}

const file = process.env.NIBBLE_MERGES ?? fixture('tokenizer/merges.json');

/** The ids of a text without any pre-tokenizer, and how many turns others had. */
function encode(bpe: Bpe, text: string): { ids: number[]; turns: number } {
  const ids: number[] = [];
  let turns = 0;
  for (const word of bpe.cut([text])) for (const _ of bpe.encode(word, ids) ?? []) turns++;
  return { ids, turns };
}

describe('merges', () => {
  it("as Rust's tokenizers do, whatever the model's options", () => {
    const { cases } = readJson(file) as { cases: Case[] };
    for (const [n, { model, words, ids }] of cases.entries()) {
      const bpe = new Bpe(model, new Map(Object.entries(model.vocab)), false);
      // twice: what is remembered is the same
      for (const text of [...words.keys(), ...words.keys()]) {
        expect({ n, word: words[text], ids: encode(bpe, words[text]).ids }).toEqual({
          n,
          word: words[text],
          ids: ids[text],
        });
      }
    }
    expect(cases.length).toBeGreaterThan(30);
  });
});

/** A vocabulary of a, aa, aaaa and so on up to 2^most letters, and of b. */
function powers(most: number) {
  const tokens = ['b', ...Array.from({ length: most + 1 }, (_, k) => 'a'.repeat(2 ** k))];
  const merges = tokens.slice(1, -1).map((token) => [token, token]);
  return { vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges };
}

/** Every pair of two of 26 letters merges, and so do pairs of those. */
function pairs() {
  const letters = 'abcdefghijklmnopqrstuvwxyz'.split('');
  const twos = letters.flatMap((a) => letters.map((b) => a + b));
  const fours = twos.slice(0, 60).flatMap((a) => twos.slice(300, 360).map((b) => a + b));
  const merges = [...twos.map((t) => [t[0], t[1]]), ...fours.map((t) => [t.slice(0, 2), t.slice(2)])];
  return { vocab: Object.fromEntries([...letters, ...twos, ...fours].map((token, id) => [token, id])), merges };
}

const letters = (count: number) => {
  let seed = 1;
  return Array.from({ length: count }, () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return String.fromCharCode(97 + Math.floor((seed / 2 ** 32) * 26));
  }).join('');
};

/** Ranks that are compared, and pairs that are looked up. */
function work(bpe: Bpe, text: string): number {
  let compared = 0;
  const lookups = vi.spyOn(PairMap.prototype, 'get');
  const end = Merging.prototype.end;
  const ends = vi.spyOn(Merging.prototype, 'end').mockImplementation(function (this: Merging, ...args) {
    compared += this.compared;
    this.compared = 0;
    return end.apply(this, args);
  });
  encode(bpe, text);
  const total = compared + lookups.mock.calls.length;
  ends.mockRestore();
  lookups.mockRestore();
  return total;
}

describe('a long word', () => {
  const made = { powers: powers(10), pairs: pairs() };
  const bpeOf = (name: keyof typeof made) => new Bpe(made[name], new Map(Object.entries(made[name].vocab)), false);

  it.each([
    ['of one letter', 'powers', (n: number) => 'a'.repeat(n)],
    ['of one letter and another', 'powers', (n: number) => `${'a'.repeat(n)}b`],
    ['of random letters', 'pairs', letters],
  ] as const)('%s: twice as long, at most 2.5 times the work', (_, name, text) => {
    const bpe = bpeOf(name);
    const [one, two] = [work(bpe, text(40_000)), work(bpe, text(80_000))];
    expect(two / one).toBeLessThan(2.5);
    // three pairs a letter, and for each merge four nodes of 16 on four levels and one way down
    expect(one).toBeGreaterThan(40_000);
    expect(one / 40_000).toBeLessThan(3 + 16 * (4 * 4 + 4));
  });

  it('takes less than 40 bytes a letter', () => {
    const bpe = bpeOf('powers');
    const [n, before] = [2_000_000, process.memoryUsage().arrayBuffers];
    let most = 0;
    for (const _ of bpe.encode('a'.repeat(n), [])!) {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    expect(most / n).toBeLessThan(14);
    expect(most / n).toBeGreaterThan(4);
  });

  it('says before any merge how many tokens there will be at least, and gives turns to others', () => {
    const bpe = bpeOf('powers');
    const out = [7, 7];
    const lookups = vi.spyOn(PairMap.prototype, 'get');
    const steps = bpe.encode('a'.repeat(300_000), out)!;
    expect(steps.next().value).toBe(2 + Math.ceil(300_000 / 1024));
    expect(lookups).not.toHaveBeenCalled();
    let turns = 1;
    for (const least of steps) {
      expect(least).toBe(2 + Math.ceil(300_000 / 1024));
      // a merge looks up two pairs
      expect(lookups.mock.calls.length).toBeLessThanOrEqual(200_000);
      lookups.mockClear();
      turns++;
    }
    lookups.mockRestore();
    expect(turns).toBeGreaterThanOrEqual(6);
    // 292 tokens of 1,024 letters, and 992 letters: 512, 256, 128, 64 and 32
    expect(out).toHaveLength(2 + 292 + 5);
  });
});
