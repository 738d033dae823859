/** Hostile tokenizers and texts: each ends in ids of its vocabulary, or in a NibbleError with a sentence. */
import { expect, it } from 'vitest';
import { NibbleError } from '../errors';
import { RUNS, SEED } from '../formats/test/hostile';
import { hostileTokenizer } from './test/hostile-tokenizers';
import type { Tokenizer } from './tokenizer';

/** Ten times what the slowest took, on a machine that has other work, in ms. */
const WATCHDOG = 20_000;

it(`${RUNS} of them, from the seed ${SEED}`, { timeout: RUNS * WATCHDOG }, () => {
  const ends = { ids: 0, refused: 0 };
  for (let i = 0; i < RUNS; i++) {
    const { said, take } = hostileTokenizer(SEED + i);
    const started = process.cpuUsage().user;
    try {
      const { tokenizer, ids } = take() as { tokenizer: Tokenizer; ids: number[] };
      for (const id of ids) if (!tokenizer.isToken(id)) expect(id, `${said}: an id without a token`).toBeNull();
      ends.ids++;
    } catch (thrown) {
      expect(thrown, `${said}: ${(thrown as Error).stack}`).toBeInstanceOf(NibbleError);
      expect((thrown as Error).message, said).toMatch(/^.{10,600}$/s);
      ends.refused++;
    }
    expect((process.cpuUsage().user - started) / 1000, said).toBeLessThan(WATCHDOG);
  }
  expect(Math.min(ends.ids, ends.refused)).toBeGreaterThan(RUNS / 20);
  expect(Object.getOwnPropertyNames(Object.prototype)).toHaveLength(12);
});
