/**
 * Prompts read with activations of int8, as `activations: 'int8'` has them, beside exact ones, on WebGPU (Dawn in Node,
 * or the SwiftShader of an installed Chromium): logits and perplexity of a text that is read in chunks, and greedy ids
 * after its beginning.
 *
 *   node scripts/run.mjs ../bench/int8 [--model PATH] [--file TEXT] [--tokens 512] [--new-tokens 100] [--kv f32]
 *
 * Exit status 1 where the perplexities are further apart than 1 %, or logits than 0.1 of their scale. Result: int8.md.
 */
import { readFileSync } from 'node:fs';
import { loadWeights } from '../src/checkpoint/load-weights';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint';
import { GREEDY, request, take } from '../src/execute/cpu/test/models';
import type { Executor, KvCache } from '../src/execute/executor';
import { createGpuExecutor } from '../src/execute/gpu/executor';
import { requestGpu } from '../src/gpu/device';
import { VARIANTS, variantFor, withInt8 } from '../src/kernels/variants';
import type { KvType } from '../src/memory/kv';
import { planMemory } from '../src/memory/plan';
import { tensorTable } from '../src/model/decoder';
import { parse } from '../src/node/arguments';
import { gpuFor } from '../src/node/dawn';
import { createFolderSource } from '../src/node/folder-source';
import { graphOf } from '../src/runtime/planning';
import { DEFAULT_MODEL } from '../src/runtime/test/default-model';
import { createTokenizer } from '../src/text/tokenizer';
import { compare, tell } from './apart';
import { runToExit } from './run';

const text = { type: 'string' } as const;
const OPTIONS = { model: text, file: text, tokens: text, 'new-tokens': text, kv: text };
const PROMPT = 48;

/** Logits after each of some ids, read in chunks. */
async function logitsOf(executor: Executor, cache: KvCache, ids: readonly number[]): Promise<Float32Array[]> {
  const rows: Float32Array[] = [];
  await executor.prefill(cache, ids, 0, { onLogits: (_, logits) => void rows.push(logits.slice()) });
  return rows;
}

const streamed = async function* (rows: readonly Float32Array[]) {
  yield* rows;
};

async function run(argv: readonly string[]): Promise<number> {
  const args = parse('int8', [...argv], OPTIONS, 0);
  const [tokens, newTokens] = [args.count('tokens', 512, 2), args.count('new-tokens', 100, 2)];
  const kvType = (args.text('kv') ?? 'f32') as KvType;
  const gpu = await requestGpu(await gpuFor('webgpu', undefined), { limits: 'adapter', features: 'all' });
  const checkpoint = await openCheckpoint(createFolderSource(args.text('model') ?? DEFAULT_MODEL));
  const model = graphOf(checkpoint, { weights: 'keep', keep: [] });
  const tokenizer = createTokenizer(checkpoint.tokenizer!.json, checkpoint.tokenizer!.config);
  const file = args.text('file') ?? 'bench/texts/prose.txt';
  const ids = tokenizer.encode(readFileSync(file, 'utf8'), { special: false, bos: true }).slice(0, tokens);
  const size = { promptTokens: Math.max(tokens, PROMPT), maxNewTokens: newTokens, kvType, int8: true };
  const plan = planMemory(model, request(size), gpu.limits, 'webgpu');
  const variant = variantFor(gpu.profile);
  const own = VARIANTS[variant];
  const ways: { rows: Float32Array[]; made: number[] }[] = [];
  for (const shapes of [own, withInt8(own)]) {
    const executor = await createGpuExecutor(gpu, model, plan, { variant, shapes });
    await loadWeights(checkpoint, tensorTable(model.spec), executor.sink, { formats: model.formats });
    const cache = executor.createCache();
    await cache.reserve(plan);
    const rows = await logitsOf(executor, cache, ids);
    await executor.prefill(cache, ids.slice(0, PROMPT), 0);
    ways.push({ rows, made: await take(executor.decode(cache, PROMPT, newTokens, GREEDY)) });
    executor.dispose();
  }
  const [exact, int8] = ways;
  console.log(`${ids.length} tokens of ${file}, ${kvType} KV, ${gpu.adapter.device || gpu.adapter.description}`);
  const { most, off } = tell(await compare(ids, streamed(exact.rows), streamed(int8.rows)));
  const unequal = exact.made.findIndex((id, i) => id !== int8.made[i]);
  console.log(`greedy ids after ${PROMPT}: the first ${unequal < 0 ? newTokens : unequal} of ${newTokens} equal`);
  return off < 1e-2 && most < 0.1 ? 0 : 1;
}

export const main = (argv: readonly string[]): Promise<never> => runToExit(() => run(argv));
