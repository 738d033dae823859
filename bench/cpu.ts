/**
 * A model on the CPU in one thread: in WebAssembly and, with the same code, as where WebAssembly is forbidden, in turn
 * in one process. Tokens a second of a prompt and of an answer by the processor's time, which is what counts where
 * other programs run, too: the median of the pairs, and of their ratios.
 *
 *   node scripts/run.mjs ../bench/cpu [--pairs 5] [--prompt-tokens 64] [--new-tokens 48] [--kv f16] [--model DIR]
 *
 * Result: bench/cpu.md.
 */

import process from 'node:process';
import { arithmetic, inJavaScript } from '../src/execute/cpu/arithmetic';
import { GREEDY, take } from '../src/execute/cpu/test/models';
import type { KvType } from '../src/memory/kv';
import { parse } from '../src/node/arguments';
import { median } from '../src/node/median';
import { DEFAULT_MODEL } from '../src/runtime/test/default-model';
import { openOnCpu, timed } from './on-cpu';
import { runToExit } from './run';

const text = { type: 'string' } as const;
const OPTIONS = { pairs: text, 'prompt-tokens': text, 'new-tokens': text, kv: text, model: text };

async function main(): Promise<number> {
  const args = parse('cpu', process.argv.slice(3), OPTIONS, 0);
  const pairs = args.count('pairs', 5);
  const promptTokens = args.count('prompt-tokens', 64);
  const newTokens = args.count('new-tokens', 48, 2);
  const kvType = (args.text('kv') ?? 'f16') as KvType;
  const { spec, runs: opened } = await openOnCpu(
    args.text('model') ?? DEFAULT_MODEL,
    [arithmetic('int16'), inJavaScript('WebAssembly is forbidden')],
    { promptTokens, maxNewTokens: newTokens, kvType },
  );
  const ids = Array.from({ length: promptTokens }, (_, i) => (i * 7919) % spec.vocab);
  const runs = opened.map((run) => ({ ...run, prompt: [] as number[], answer: [] as number[], ids: [] as number[] }));
  // the first is for the compilers
  for (let pair = -1; pair < pairs; pair++) {
    for (const run of runs) {
      const { executor, cache } = run;
      const [prompt] = await timed(() => executor.prefill(cache, ids, 0));
      const [answer, made] = await timed(() => take(executor.decode(cache, promptTokens, newTokens, GREEDY)));
      run.ids = made;
      if (pair < 0) continue;
      run.prompt.push(promptTokens / prompt);
      // the first token's logits are the prompt's
      run.answer.push((newTokens - 1) / answer);
    }
  }
  const [fast, plain] = runs;
  const row = (name: string, ...cells: number[]) =>
    console.log(`| ${name} | ${cells.map((cell) => cell.toFixed(1)).join(' | ')} |`);
  console.log('| way | prompt, tokens/s | answer, tokens/s |\n|---|---|---|');
  for (const { name, prompt, answer } of runs) row(name, median(prompt), median(answer));
  const ratios = (kind: 'prompt' | 'answer') => median(fast[kind].map((rate, i) => rate / plain[kind][i]));
  row('times as fast, median of pairs', ratios('prompt'), ratios('answer'));
  const same = fast.ids.findIndex((id, i) => id !== plain.ids[i]);
  console.log(same < 0 ? 'The same ids.' : `The same ids up to the ${same + 1}th.`);
  return 0;
}

await runToExit(main);
