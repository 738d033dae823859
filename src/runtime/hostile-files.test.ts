/**
 * Hostile manifests, indexes, headers, small files and HTTP answers: each ends in a layout or in a NibbleError with a
 * sentence; none asks without end, and none keeps more than its limits allow.
 */
import { expect, it } from 'vitest';
import { NibbleError } from '../errors';
import { limitOf } from '../formats/small-files';
import { RUNS, SEED } from '../formats/test/hostile';
import { hostileFiles } from './test/hostile-files';

/** Where all are without an end, each of the small files may come as far as it may be large. */
const SMALL_BYTES = [
  'manifest.json',
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
  'model.safetensors.index.json',
].reduce((sum, path) => sum + limitOf(path)!, 0);

it(`${RUNS} of them, from the seed ${SEED}`, { timeout: 10_000 * RUNS }, async () => {
  const ends = { read: 0, refused: 0 };
  for (let i = 0; i < RUNS; i++) {
    const { said, take, seen } = hostileFiles(SEED + i);
    const outcome = await (take() as Promise<unknown>).catch((error) => error);
    if (outcome === true) ends.read++;
    else {
      expect(outcome, said).toBeInstanceOf(NibbleError);
      const { message, details } = outcome as NibbleError;
      expect(message, said).toMatch(/^.{10,2001}$/s);
      expect(JSON.stringify(details).length, said).toBeLessThan(60_000);
      ends.refused++;
    }
    // a thousand shards, each asked for five times at most
    expect(seen.requests, said).toBeLessThan(6000);
    // weights without a length are counted, and not kept
    const small = said.includes(', everything: ') ? SMALL_BYTES : 100e6;
    expect(seen.bytesRead, said).toBeLessThan(/without an end/.test(String(outcome)) ? 2 ** 32 + 100e6 : small);
    expect(seen.kept, said).toBeLessThan(100);
  }
  expect(ends.refused).toBeGreaterThan(RUNS / 4);
  if (RUNS >= 100) expect(ends.read).toBeGreaterThan(0);
  expect(Object.getOwnPropertyNames(Object.prototype)).toHaveLength(12);
});
