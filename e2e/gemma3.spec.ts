/**
 * The real Gemma 3 270M in Chromium, from its GGUF by HTTP to the built library, on WebGPU (SwiftShader) at WebGPU's
 * default limits. Its licence keeps the file out of this repository, so the test is skipped where it is not to be
 * found. The numbers behind it (logits, perplexity): bench/gemma3.md.
 */
import { statSync } from 'node:fs';
import { type StaticServer, serve } from '../scripts/testing/server';
import type { Engine, LoadOptions } from '../src/index';
import { expectedGemma3, findGemma3, GEMMA3_MISSING, GEMMA3_TOLERANCE } from '../src/runtime/test/gemma3';
import { sureSteps } from '../src/runtime/test/prompts';
import { expect, test } from './product';

const FILE = findGemma3();
const MODEL = '/gemma-3-270m.Q4_K_M.gguf';

let site: StaticServer;

test.skip(FILE === null, GEMMA3_MISSING);
if (FILE === null) console.log(`e2e/gemma3.spec.ts is skipped: ${GEMMA3_MISSING}`);

test.beforeAll(async () => {
  site = await serve({
    mounts: [
      ['/lib/', 'dist'],
      [MODEL, FILE!],
      ['/', 'e2e/blank.html'],
    ],
  });
});

test.afterAll(async () => site?.close());

test('completes text as transformers does, with either cache and as NF4, and comes over the network once', async ({
  profile,
}) => {
  test.setTimeout(900_000);
  const { page, complaints } = await profile.open({ webgpu: true });
  await page.goto(site.origin);

  const runs = [
    { kv: 'f16', weights: 'keep', tokens: 24 },
    { kv: 'f32', weights: 'keep', tokens: 8 },
    { kv: 'f32', weights: 'nf4', tokens: 8 },
  ] as const;
  for (const { kv, weights, tokens } of runs) {
    const prompt = expectedGemma3().weights[weights].prompts.at(-1)!;
    expect(sureSteps(prompt, GEMMA3_TOLERANCE[kv]), 'a prompt without close calls').toBeGreaterThanOrEqual(tokens);
    const options: LoadOptions = { backend: 'webgpu', limits: 'default', kv, weights };
    const seen = await page.evaluate(
      async ({ model, options, text, maxNewTokens }) => {
        // @ts-expect-error served from dist/
        const { load } = await import('/lib/index.js');
        const start = performance.now();
        const engine: Engine = await load(model, options);
        const loaded = performance.now() - start;
        const ids = await engine.tokenize(text);
        const answer = engine.generate(text, { maxNewTokens, temperature: 0, ignoreEos: true });
        const result = await answer.result;
        const info = await engine.info();
        engine.dispose();
        return { loaded, ids, result, info };
      },
      { model: MODEL, options, text: prompt.text, maxNewTokens: tokens },
    );
    const { info, result } = seen;
    console.log(
      `  KV ${kv}, weights ${weights}: loaded in ${Math.round(seen.loaded / 1000)} s, ${result.ids.length} tokens at ` +
        `${result.stats.decodeTps.toFixed(2)} tok/s, ${result.memory.weights} bytes of weights: ${result.text.trim()}`,
    );
    expect(info).toMatchObject({
      backend: 'webgpu',
      family: 'gemma3_text',
      options: { limits: 'default', kv, weights },
    });
    // BOS goes before a prompt by itself
    expect(seen.ids).toEqual(prompt.ids.slice(1));
    expect(result.stats.promptTokens).toBe(prompt.ids.length);
    expect(result.ids).toEqual(prompt.greedy.slice(0, tokens));
    if (tokens === prompt.greedy.length) expect(result.text).toBe(prompt.greedyText);
  }
  // once, and the two bytes that tell its size
  expect(site.bytes(MODEL)).toBeLessThanOrEqual(statSync(FILE!).size + 2);
  expect(complaints).toEqual([]);
});
