import { describe, expect, test } from 'vitest';
import { parseModelName } from '../../options/model-name';
import { CARDS, MORE_CARDS, type ModelCard } from './cards';
import { CARD_TOKENS, fitOf, memoryOf, slownessOf, UNKNOWN_DEVICE } from './model-fit';

const ALL = [...CARDS, ...MORE_CARDS];

test('ten at most in front, the one of the page included; the smallest first, each with what a source states', () => {
  expect(CARDS.length).toBeLessThanOrEqual(9);
  const sizes = CARDS.map(({ bytes }) => bytes!);
  expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
  for (const { name, revision, bytes, sha256, gated } of CARDS) {
    expect([name, revision, sha256]).toEqual([
      name,
      expect.stringMatching(/^[0-9a-f]{40}$/),
      expect.stringMatching(/^[0-9a-f]{64}$/),
    ]);
    expect([name, Number.isInteger(bytes), gated]).toEqual([name, true, undefined]);
  }
});

describe.each(ALL.map((card) => [card.name, card] as const))('%s', (_, card: ModelCard) => {
  test('is named as the Hub names things, once, and says where its facts come from', () => {
    const { repository, file, revision, source, seen, languages } = card;
    expect(parseModelName(file ? `${repository}/${file}` : repository)?.kind).toBe('hub');
    expect(ALL.filter((other) => other.name === card.name)).toHaveLength(1);
    if (revision) expect(revision).toMatch(/^[0-9a-f]{40}$/);
    expect([source.length > 0, seen]).toEqual([true, expect.stringMatching(/^2026-\d\d-\d\d$/)]);
    if (typeof languages !== 'number') expect(Intl.getCanonicalLocales(languages)).toEqual(languages);
  });

  test('takes 4 to 10 bits a parameter where it is in fewer than 16, and 16 where it is not', () => {
    const { bytes, parameters, stored } = card;
    if (!bytes) return expect(stored).toBe('NF4');
    const bits = (8 * bytes) / parameters;
    // heads and embeddings of small models are in more bits than their name says
    const [least, most] = stored === 'BF16' ? [15.9, 16.1] : [4.4, 8.1];
    expect(bits).toBeGreaterThan(least);
    expect(bits).toBeLessThan(most);
  });
});

test('a card is judged by what the device allows, and by how fast it reads weights', () => {
  const [card] = CARDS;
  const memory = memoryOf(card);
  expect(memory).toBe(card.bytes! + CARD_TOKENS * card.cacheBytes + (48 << 20));
  const on = (bytes: number | null) => fitOf(card, { ...UNKNOWN_DEVICE, bytes });
  expect([on(null), on(memory / 2), on(memory), on(memory * 1.2), on(memory * 2)]).toEqual([
    'unknown',
    'over',
    'tight',
    'tight',
    'fits',
  ]);
  const speed = (bytesPerSecond: number | null) => slownessOf(card, { ...UNKNOWN_DEVICE, bytesPerSecond });
  expect([speed(null), speed(10 * card.bytes!), speed(2 * card.bytes!)]).toEqual([null, null, 2]);
});

test('what is in 16 bits becomes NF4 as it comes', () => {
  const dense = MORE_CARDS.find(({ stored }) => stored === 'BF16')!;
  expect(memoryOf(dense)).toBeLessThan(dense.bytes! / 2);
});
