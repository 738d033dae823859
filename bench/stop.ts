/**
 * How long the CPU keeps a worker's event loop waiting at most, which is how late a stop can be heard: at Gemma-7B's
 * geometry with random weights, and with the default model from its first byte to its answer.
 *
 *   node scripts/run.mjs ../bench/stop [--layers 1] [--position 8000] [--model DIR] [--config CONFIG.json]
 *
 * Result: bench/stop.md.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { createCpuExecutor } from '../src/execute/cpu/executor';
import { GREEDY, request, take } from '../src/execute/cpu/test/models';
import type { JsonObject } from '../src/formats/json';
import { type MatrixFormat, NF4_CODEBOOK } from '../src/formats/matrix';
import { NO_LIMITS, planMemory } from '../src/memory/plan';
import { forwardSteps, tensorTable } from '../src/model/decoder';
import { parseSpec } from '../src/model/parse';
import { parse } from '../src/node/arguments';
import { nextId, open } from '../src/node/open';
import { DEFAULT_MODEL } from '../src/runtime/test/default-model';
import { runToExit } from './run';

const text = { type: 'string' } as const;
const OPTIONS = { layers: text, position: text, model: text, config: text };
const BLOCK = 64;
const Q4: MatrixFormat = { type: 'q4', block: BLOCK, offset: false, codebook: NF4_CODEBOOK };

/** huggingface.co/google/gemma-7b, config.json */
const GEMMA_7B = {
  model_type: 'gemma',
  vocab_size: 256000,
  hidden_size: 3072,
  intermediate_size: 24576,
  num_attention_heads: 16,
  num_key_value_heads: 16,
  head_dim: 256,
  max_position_embeddings: 8192,
  hidden_activation: 'gelu_pytorch_tanh',
};

/**
 * Runs something, and prints how long it took and the longest time between two turns of the event loop: by the clock,
 * and of the processor, which is what counts where other programs run, too.
 */
async function watch<T>(name: string, work: () => Promise<T>): Promise<T> {
  const clocks = () => [performance.now(), process.cpuUsage().user / 1000];
  const longest = [0, 0];
  let turns = 0;
  let last = clocks();
  const [start] = last;
  const look = () => {
    const now = clocks();
    for (const i of [0, 1]) longest[i] = Math.max(longest[i], now[i] - last[i]);
    last = now;
    turns++;
  };
  let turn = setImmediate(function again() {
    look();
    turn = setImmediate(again);
  });
  const result = await work();
  look();
  clearImmediate(turn);
  const seconds = ((last[0] - start) / 1000).toFixed(1);
  console.log(`| ${name} | ${seconds} | ${turns} | ${longest.map(Math.round).join(' | ')} |`);
  return result;
}

/** A model of this geometry in NF4, with weights that keep numbers in range and nothing else. */
async function randomExecutor(config: JsonObject, positions: number) {
  const spec = parseSpec(config);
  const table = tensorTable(spec);
  const names = table.filter(({ kind }) => kind === 'matrix').map(({ name }) => [name, Q4] as const);
  const model = { spec, steps: forwardSteps(spec), formats: new Map(names) };
  const plan = planMemory(
    model,
    request({ promptTokens: positions, maxNewTokens: 1, kvType: 'f16' }),
    NO_LIMITS,
    'cpu',
  );
  const executor = createCpuExecutor(model, plan);
  for (const { name, rows, cols, kind } of table) {
    if (kind === 'vector') executor.sink.writeVector(name, new Float32Array(cols));
    else {
      const codes = Uint8Array.from({ length: (rows * cols) / 2 }, (_, i) => (i * 167) >> 3);
      const scales = new Float32Array((rows * cols) / BLOCK).fill(1 / Math.sqrt(cols));
      await executor.sink.write(name, { row0: 0, rows, cols, type: 'q4', block: BLOCK, codes, scales, offsets: null });
    }
  }
  await executor.sink.finish();
  const cache = executor.createCache();
  await cache.reserve(plan);
  return { executor, cache };
}

async function main(): Promise<number> {
  const args = parse('stop', process.argv.slice(3), OPTIONS, 0);
  const position = args.count('position', 8000, 0);
  const given = args.text('config');
  const config = given ? JSON.parse(readFileSync(given, 'utf8')) : GEMMA_7B;
  const layers = args.count('layers', 1);
  const { executor, cache } = await randomExecutor({ ...config, num_hidden_layers: layers }, position + 100);
  const ids = Array.from({ length: 32 }, (_, i) => i + 1);
  console.log(
    '| what | seconds | turns of the event loop | longest between two, ms | the same, of the processor |\n|---|---|---|---|---|',
  );
  await watch('32 tokens of a prompt at its beginning', () => executor.prefill(cache, ids, 0));
  await watch(`the same at position ${position}`, () => executor.prefill(cache, ids, position));
  await watch('3 tokens of an answer', () => take(executor.decode(cache, position + 32, 3, GREEDY)));
  executor.dispose();
  const { session } = await watch('the default model loads', () => open(args, args.text('model') ?? DEFAULT_MODEL));
  const input = { messages: [{ role: 'user' as const, content: 'What is the sea? '.repeat(20) }] };
  await watch('and answers with 8 tokens', () =>
    session.generate({ id: nextId(), input, options: { maxNewTokens: 8 } }, { postMessage() {} }),
  );
  await session.dispose();
  return 0;
}

await runToExit(main);
