/** Every number type loads in a browser, whose buffers can be given back (src/platform/release.ts), with IndexedDB. */
import { expect, it } from 'vitest';
import { openModelStore } from '../store/chunk-store';
import { DTYPES, filesOf, loadThreeTimes, WEIGHTS } from './test/dtypes';

async function openStore() {
  const { store } = await openModelStore({}, 'test-dtypes');
  expect('transfer' in ArrayBuffer.prototype).toBe(true);
  return store!;
}

/** Another name each time, so that nothing is here from before. */
const named = (what: string) => `${what} ${crypto.randomUUID()}`;

it.each(DTYPES.flatMap((dtype) => WEIGHTS.map((weights) => [dtype, weights] as const)))(
  'a checkpoint in %s with weights: %s',
  async (dtype, weights) => {
    await loadThreeTimes(await filesOf(dtype), await openStore(), named(dtype), weights);
  },
);

it.each(
  ['tiny-llama/gguf/tiny-llama', 'tiny-gguf/llama3/model', 'tiny-gguf/qwen3/model', 'tiny-gguf/gemma3/model'].flatMap(
    (path) => WEIGHTS.map((weights) => [path, weights] as const),
  ),
)('%s.gguf with weights: %s', async (path, weights) => {
  const answer = await fetch(`/reference/fixtures/${path}.gguf`);
  const files = new Map([['model.gguf', new Uint8Array(await answer.arrayBuffer())]]);
  await loadThreeTimes(files, await openStore(), named(path), weights, 'model.gguf');
});
