/**
 * What models take: weights in NF4, the KV cache of their full context and of 384 tokens, as planned; and what WebGPU
 * was asked for in a conversation of 384 tokens, counted by a wrapper around createBuffer and destroy.
 *
 *   node scripts/run.mjs ../bench/memory-table [--only NAME,…] [--measure NAME,…|none] [--config CONFIG.json]
 *     [--backend webgpu] [--write]
 *
 * Geometries are those of the models' config.json; weights are random, the embedding
 * in NF4 like all else. Measured is what --measure names, the models under 1 GiB where it is absent: a prompt of 4
 * tokens is read and one answered, with room for 381. --config is one more model, called `config`. --write puts the
 * table into bench/memory.md. Exit status 1 where what was asked for is not the plan, to the byte.
 */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint';
import type { JsonObject } from '../src/formats/json';
import { NO_LIMITS } from '../src/memory/plan';
import { type Arguments, engineOptions, parse } from '../src/node/arguments';
import { gpuFor } from '../src/node/dawn';
import { createRandomSource } from '../src/node/random-source';
import type { PlanInfo } from '../src/protocol';
import { completeEngineOptions, effectiveEngineOptions } from '../src/runtime/engine-options';
import { graphOf, planInfo } from '../src/runtime/planning';
import { createSession } from '../src/runtime/session';
import { countingGpu } from '../src/runtime/test/counting-gpu';
import type { SourceDescription } from '../src/sources/source';
import { between } from './library-page';
import { runToExit } from './run';

const REPORT = 'bench/memory.md';
const PROMPT = 4;
const TOKENS = 384;
const MEASURED_BELOW = 2 ** 30;

/** Layers, width, heads, kv heads, head size, MLP width, vocabulary, context. */
function geometry(model_type: string, sizes: readonly number[], tied: boolean, more: JsonObject = {}): JsonObject {
  const [layers, width, heads, kvHeads, headSize, mlp, vocab, context] = sizes;
  return {
    model_type,
    num_hidden_layers: layers,
    hidden_size: width,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headSize,
    intermediate_size: mlp,
    vocab_size: vocab,
    max_position_embeddings: context,
    tie_word_embeddings: tied,
    ...more,
  };
}

const MODELS: Record<string, JsonObject> = {
  'SmolLM2-135M': geometry('llama', [30, 576, 9, 3, 64, 1536, 49152, 8192], true),
  'Gemma-3-270M': geometry('gemma3_text', [18, 640, 4, 1, 256, 2048, 262144, 32768], true, { sliding_window: 512 }),
  'Qwen3-0.6B': geometry('qwen3', [28, 1024, 16, 8, 128, 3072, 151936, 40960], true),
  'Llama-3.2-1B': geometry('llama', [16, 2048, 32, 8, 64, 8192, 128256, 131072], true),
  'Llama-3.1-8B': geometry('llama', [32, 4096, 32, 8, 128, 14336, 128256, 131072], false),
  'Gemma-7B': geometry('gemma', [28, 3072, 16, 16, 256, 24576, 256000, 8192], true),
};

const size = (bytes: number) =>
  bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(2)} GiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;

const request = { promptTokens: PROMPT, maxNewTokens: TOKENS - PROMPT + 1 };

/** Of the GPU, whatever this machine has. */
async function planned(config: JsonObject): Promise<PlanInfo> {
  const checkpoint = await openCheckpoint(createRandomSource(config));
  const options = completeEngineOptions({});
  const graph = graphOf(checkpoint, options);
  const model = {
    graph,
    limits: NO_LIMITS,
    target: 'webgpu',
    options: effectiveEngineOptions(options, graph.spec, null),
    checkpoint,
  } as const;
  return planInfo(model, request);
}

/** Bytes that WebGPU was asked for: steady, and at most. */
async function measured(config: JsonObject, args: Arguments): Promise<{ now: number; peak: number }> {
  const { gpu, seen } = countingGpu((await gpuFor('webgpu', args.text('gpu')))!);
  const session = createSession({
    gpu,
    openSource: () => createRandomSource(config),
    openStore: async () => ({ store: null, reason: '' }),
  });
  const source: SourceDescription = { kind: 'files', name: 'random', files: [] };
  const options = { ...engineOptions(args), backend: 'webgpu' } as const;
  await session.load({ id: 1, source, options }, { postMessage: () => {} });
  const ids = Array.from({ length: PROMPT }, (_, i) => i + 1);
  const asked = { maxNewTokens: request.maxNewTokens, ignoreEos: true };
  const stop = { postMessage: () => void session.cancel(2) };
  await session.generate({ id: 2, input: { ids }, options: asked }, stop);
  const { now, peak } = seen;
  await session.dispose();
  return { now, peak };
}

async function main(): Promise<number> {
  const text = { type: 'string' } as const;
  const own = { only: text, measure: text, config: text, write: { type: 'boolean' } } as const;
  const args = parse('memory-table', process.argv.slice(3), own, 0);
  const file = args.text('config');
  const models: typeof MODELS = { ...MODELS, ...(file ? { config: JSON.parse(readFileSync(file, 'utf8')) } : {}) };
  const names = args.text('only')?.split(',') ?? Object.keys(models);
  const unknown = names.find((name) => !(name in models));
  if (unknown) throw new Error(`There is no ${unknown}; there are ${Object.keys(models).join(', ')}.`);
  const wanted = args.text('measure')?.split(',');
  const lines = [
    '| model | weights (NF4) | KV, full context | KV, 384 tokens | ours, 384 tokens, measured | at most, while it loads |',
    '|---|---|---|---|---|---|',
  ];
  let same = true;
  for (const name of names) {
    const config = models[name];
    const plan = await planned(config);
    const { weights, kv, kvFullContext, total, peak } = plan;
    const real = (wanted ? wanted.includes(name) : total < MEASURED_BELOW) ? await measured(config, args) : null;
    if (real && (real.now !== total || real.peak !== peak)) {
      same = false;
      console.error(`${name}: planned ${total} and ${peak} at most, asked for ${real.now} and ${real.peak}`);
    }
    const context = Number(config.max_position_embeddings).toLocaleString('en');
    const ours = real ? [size(real.now), size(real.peak)] : [`${size(total)}, planned`, `${size(peak)}, planned`];
    const row = [name, size(weights), `${size(kvFullContext)} (${context})`, size(kv), ...ours];
    lines.push(`| ${row.join(' | ')} |`);
    console.log(lines.at(-1));
  }
  const table = lines.join('\n');
  console.log(`\n${table}`);
  if (args.flag('write')) await writeFile(REPORT, between(readFileSync(REPORT, 'utf8'), 'memory', table));
  return same ? 0 : 1;
}

await runToExit(main);
