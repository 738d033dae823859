/**
 * A model on the CPU: in WebAssembly in several threads and in one, and with the same code as where WebAssembly is
 * forbidden, in turn in one process. Tokens a second of a prompt and of an answer by the clock: the median of the
 * rounds, and of their ratios.
 *
 *   node scripts/run.mjs ../bench/cpu [--rounds 5] [--prompt-tokens 64] [--new-tokens 48] [--kv f16] [--model DIR]
 *       [--threads 2]
 *
 * Result: bench/cpu.md.
 */

import { availableParallelism } from 'node:os';
import process from 'node:process';
import { loadWeights } from '../src/checkpoint/load-weights';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint';
import { type Arithmetic, arithmetic, inJavaScript } from '../src/execute/cpu/arithmetic';
import { createCpuExecutor } from '../src/execute/cpu/executor';
import { GREEDY, request, take } from '../src/execute/cpu/test/models';
import { chooseFormats } from '../src/memory/formats';
import type { KvType } from '../src/memory/kv';
import { NO_LIMITS, planMemory } from '../src/memory/plan';
import { forwardSteps, tensorTable } from '../src/model/decoder';
import { parseSpec } from '../src/model/parse';
import { parse } from '../src/node/arguments';
import { startNodeThread } from '../src/node/compute-threads';
import { createFolderSource } from '../src/node/folder-source';
import { median } from '../src/node/median';
import { DEFAULT_MODEL } from '../src/runtime/test/default-model';
import { runToExit } from './run';

const text = { type: 'string' } as const;
const OPTIONS = { rounds: text, 'prompt-tokens': text, 'new-tokens': text, kv: text, model: text, threads: text };

/** Seconds, and what came of it. */
async function timed<T>(work: () => Promise<T>): Promise<[number, T]> {
  const before = performance.now();
  const result = await work();
  return [(performance.now() - before) / 1000, result];
}

async function main(): Promise<number> {
  const args = parse('cpu', process.argv.slice(3), OPTIONS, 0);
  const rounds = args.count('rounds', 5);
  const threads = args.count('threads', availableParallelism());
  const promptTokens = args.count('prompt-tokens', 64);
  const newTokens = args.count('new-tokens', 48, 2);
  const kvType = (args.text('kv') ?? 'f16') as KvType;
  const checkpoint = await openCheckpoint(createFolderSource(args.text('model') ?? DEFAULT_MODEL));
  const spec = parseSpec(checkpoint.config);
  const table = tensorTable(spec);
  const names = table.flatMap(({ name, kind }) => (kind === 'matrix' ? [name] : []));
  const model = { spec, steps: forwardSteps(spec), formats: chooseFormats(checkpoint.tensors, names, 'keep') };
  const ids = Array.from({ length: promptTokens }, (_, i) => (i * 7919) % spec.vocab);
  const ways: [string, number, Arithmetic][] = [
    [`WebAssembly, ${threads} threads`, threads, arithmetic()],
    ['WebAssembly, one thread', 1, arithmetic()],
    ['JavaScript', 1, inJavaScript('WebAssembly is forbidden')],
  ];
  const runs = await Promise.all(
    ways.map(async ([name, count, way]) => {
      const asked = request({ promptTokens, maxNewTokens: newTokens, kvType, threads: count });
      const plan = planMemory(model, asked, NO_LIMITS, 'cpu');
      const executor = createCpuExecutor(model, plan, { count, start: startNodeThread }, way);
      await loadWeights(checkpoint, table, executor.sink, { formats: model.formats });
      const cache = executor.createCache();
      await cache.reserve(plan);
      return { name, executor, cache, prompt: [] as number[], answer: [] as number[], ids: [] as number[] };
    }),
  );
  // the first is for the compilers
  for (let round = -1; round < rounds; round++) {
    for (const run of runs) {
      const { executor, cache } = run;
      const [prompt] = await timed(() => executor.prefill(cache, ids, 0));
      const [answer, made] = await timed(() => take(executor.decode(cache, promptTokens, newTokens, GREEDY)));
      run.ids = made;
      if (round < 0) continue;
      run.prompt.push(promptTokens / prompt);
      // the first token's logits are the prompt's
      run.answer.push((newTokens - 1) / answer);
    }
  }
  const row = (name: string, ...cells: number[]) =>
    console.log(`| ${name} | ${cells.map((cell) => cell.toFixed(1)).join(' | ')} |`);
  console.log('| way | prompt, tokens/s | answer, tokens/s |\n|---|---|---|');
  for (const { name, prompt, answer } of runs) row(name, median(prompt), median(answer));
  const plain = runs[runs.length - 1];
  for (const fast of runs.slice(0, -1)) {
    const times = (kind: 'prompt' | 'answer') => median(fast[kind].map((rate, i) => rate / plain[kind][i]));
    row(`${fast.name}: times JavaScript, median of rounds`, times('prompt'), times('answer'));
    const same = fast.ids.findIndex((id, i) => id !== plain.ids[i]);
    console.log(same < 0 ? 'The same ids.' : `The same ids up to the ${same + 1}th.`);
  }
  return 0;
}

await runToExit(main);
