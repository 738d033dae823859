/** The model that is shipped, on the CPU, against torch in float32. All ten prompts: bench/logits.ts. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { main } from '../node/cli';
import { createFolderSource } from '../node/folder-source';
import type { Model } from './model';
import { createSession } from './session';
import { answerOf } from './test/answer-of';
import { DEFAULT_MODEL, expectedPerplexity, expectedPrompts, TOLERANCE } from './test/default-model';
import { difference, sureSteps } from './test/prompts';

const STEPS = 6;
/** The Q4_1 GGUF that the default model was made from: 98 MB, so not in the repository. */
const GGUF = process.env.NIBBLE_Q4_1_GGUF;
if (!GGUF) console.info('The Q4_1 GGUF is not checked: NIBBLE_Q4_1_GGUF does not name it (reference/default_model).');

describe.each([
  ['the default model', 'f32', DEFAULT_MODEL, 'default', [0, 1]],
  ['the default model', 'f16', DEFAULT_MODEL, 'default', [0, 1]],
  ['its source in Q4_1', 'f32', GGUF, 'q4_1', [0]],
  ['its source in Q4_1', 'f16', GGUF, 'q4_1', [0]],
] as const)('%s with KV in %s', (_, kv, path, of, numbers) => {
  let model: Model;
  const session = createSession({
    gpu: null,
    openSource: () => createFolderSource(path as string),
    openStore: async () => ({ store: null, reason: '' }),
  });
  beforeAll(async () => {
    if (!path) return;
    await session.load(
      { id: 1, source: { kind: 'files', name: '', files: [] }, options: { kv, backend: 'cpu' } },
      { postMessage: () => {} },
    );
    model = session.model();
  });
  afterAll(() => session.dispose());

  it.skipIf(!path).each(numbers)(
    'has the logits and the ids of torch after prompt %i',
    async (number) => {
      const prompt = expectedPrompts(of)[number];
      expect(prompt.logits).not.toBeNull();
      const steps = Math.min(STEPS, sureSteps(prompt, TOLERANCE[kv]));
      const { logits, ids } = await answerOf(model, prompt.ids, STEPS);
      expect(difference(logits, prompt)).toBeLessThan(TOLERANCE[kv]);
      expect(ids.slice(0, steps)).toEqual(prompt.greedy.slice(0, steps));
      expect(ids).toHaveLength(STEPS);
    },
    120_000,
  );
});

it('nibble perplexity gives the perplexity of torch', async () => {
  const tiny = expectedPerplexity().find(({ limit }) => limit !== null)!;
  const write = process.stdout.write;
  let out = '';
  process.stdout.write = ((text: string, done?: () => void) => {
    out += text;
    done?.();
    return true;
  }) as typeof write;
  const options = ['--window', String(tiny.window), '--windows', String(tiny.limit), '--backend', 'cpu', '--json'];
  const status = await main(['perplexity', DEFAULT_MODEL, '--file', tiny.text, ...options]);
  process.stdout.write = write;
  expect(status, out).toBe(0);
  const { perplexity, tokens } = JSON.parse(out) as { perplexity: number; tokens: number };
  expect(tokens).toBe(tiny.predictedTokens);
  expect(Math.abs(perplexity / tiny.perplexity - 1)).toBeLessThan(0.005);
});
