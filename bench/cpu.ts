/**
 * A model on the CPU: in WebAssembly in several threads and in one, with exact products, and as where WebAssembly is
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
import { arithmetic, inJavaScript } from '../src/execute/cpu/arithmetic';
import { GREEDY, take } from '../src/execute/cpu/test/models';
import type { KvType } from '../src/memory/kv';
import { parse } from '../src/node/arguments';
import { median } from '../src/node/median';
import { DEFAULT_MODEL } from '../src/runtime/test/default-model';
import { openOnCpu, timed, type Way } from './on-cpu';
import { runToExit } from './run';

const text = { type: 'string' } as const;
const OPTIONS = { rounds: text, 'prompt-tokens': text, 'new-tokens': text, kv: text, model: text, threads: text };

async function main(): Promise<number> {
  const args = parse('cpu', process.argv.slice(3), OPTIONS, 0);
  const rounds = args.count('rounds', 5);
  const threads = args.count('threads', availableParallelism());
  const promptTokens = args.count('prompt-tokens', 64);
  const newTokens = args.count('new-tokens', 48, 2);
  const kvType = (args.text('kv') ?? 'f16') as KvType;
  const ways: Way[] = [
    { way: arithmetic('int16'), threads },
    { way: arithmetic('int16') },
    { way: arithmetic() },
    { way: inJavaScript('WebAssembly is forbidden') },
  ];
  const request = { promptTokens, maxNewTokens: newTokens, kvType };
  const { spec, runs: opened } = await openOnCpu(args.text('model') ?? DEFAULT_MODEL, ways, request);
  const ids = Array.from({ length: promptTokens }, (_, i) => (i * 7919) % spec.vocab);
  const runs = opened.map((run) => ({ ...run, prompt: [] as number[], answer: [] as number[], ids: [] as number[] }));
  // the first is for the compilers
  for (let round = -1; round < rounds; round++) {
    for (const run of runs) {
      const { executor, cache } = run;
      const prompt = await timed(() => executor.prefill(cache, ids, 0));
      const answer = await timed(() => take(executor.decode(cache, promptTokens, newTokens, GREEDY)));
      run.ids = answer.result;
      if (round < 0) continue;
      run.prompt.push(promptTokens / prompt.clock);
      // the first token's logits are the prompt's
      run.answer.push((newTokens - 1) / answer.clock);
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
