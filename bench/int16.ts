/**
 * Products of 16-bit numbers, as the product has them, beside exact ones, on the CPU in one process: logits and
 * perplexity of a text that both read one token at a time, 200 greedy ids after its beginning, and tokens a second of
 * those by the processor's time, in turn.
 *
 *   node scripts/run.mjs ../bench/int16 [--model PATH] [--file TEXT] [--tokens 512] [--new-tokens 200] [--pairs 3]
 *     [--kv f32]
 *
 * Exit status 1 where the perplexities are further apart than 0.1 %, logits than 1e-3 of their scale, or ids differ
 * before the first step whose margin is under twice that. Result: bench/cpu.md.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { arithmetic } from '../src/execute/cpu/arithmetic';
import { GREEDY, take } from '../src/execute/cpu/test/models';
import type { KvType } from '../src/memory/kv';
import { parse } from '../src/node/arguments';
import { median } from '../src/node/median';
import { DEFAULT_MODEL } from '../src/runtime/test/default-model';
import { createTokenizer } from '../src/text/tokenizer';
import { compare, scaleOf, tell } from './apart';
import { type OnCpu, openOnCpu, timed } from './on-cpu';
import { runToExit } from './run';

const text = { type: 'string' } as const;
const OPTIONS = { model: text, file: text, tokens: text, 'new-tokens': text, pairs: text, kv: text };

/** Of the scale, with exact keys and values. */
const TOLERANCE = 1e-3;
const PROMPT = 48;

/** Logits after each of some ids, read one at a time. */
async function* logitsOf({ executor, cache }: OnCpu, ids: readonly number[]): AsyncGenerator<Float32Array> {
  for (const [i, id] of ids.entries()) {
    await executor.prefill(cache, [id], i);
    yield await executor.logits();
  }
}

/** Greedy ids of the exact way, and the margin of each in units of the scale. */
async function margins({ executor, cache }: OnCpu, prompt: readonly number[], count: number) {
  await executor.prefill(cache, prompt, 0);
  const all: number[] = [];
  for (let i = 0; i < count; i++) {
    const logits = await executor.logits();
    const [first, second] = logits.slice().sort().slice(-2).reverse();
    all.push((first - second) / scaleOf(logits));
    await executor.prefill(cache, [logits.indexOf(first)], prompt.length + i);
  }
  return all;
}

async function main(): Promise<number> {
  const args = parse('int16', process.argv.slice(3), OPTIONS, 0);
  const [tokens, newTokens, pairs] = [
    args.count('tokens', 512, 2),
    args.count('new-tokens', 200, 2),
    args.count('pairs', 3),
  ];
  const kvType = (args.text('kv') ?? 'f32') as KvType;
  const ways = [{ way: arithmetic() }, { way: arithmetic('int16') }];
  const size = { promptTokens: Math.max(tokens, PROMPT), maxNewTokens: newTokens, kvType };
  const { runs, checkpoint } = await openOnCpu(args.text('model') ?? DEFAULT_MODEL, ways, size);
  const tokenizer = createTokenizer(checkpoint.tokenizer!.json, checkpoint.tokenizer!.config);
  const file = args.text('file') ?? 'bench/texts/prose.txt';
  const ids = tokenizer.encode(readFileSync(file, 'utf8'), { special: false, bos: true }).slice(0, tokens);

  console.log(`${ids.length} tokens of ${file}, ${kvType} KV`);
  const [exact, int16] = runs.map((run) => logitsOf(run, ids));
  const { most, off } = tell(await compare(ids, exact, int16));

  const prompt = ids.slice(0, PROMPT);
  const margin = await margins(runs[0], prompt, newTokens);
  const rates: number[][] = [[], []];
  const made: string[][] = [[], []];
  // the first is for the compilers
  for (let pair = -1; pair < pairs; pair++)
    for (const [i, { executor, cache }] of runs.entries()) {
      await executor.prefill(cache, prompt, 0);
      const answer = await timed(() => take(executor.decode(cache, prompt.length, newTokens, GREEDY)));
      made[i] = answer.result.map(String);
      if (pair >= 0) rates[i].push((newTokens - 1) / answer.processor);
    }
  const unequal = made[0].findIndex((id, i) => id !== made[1][i]);
  const unsure = margin.findIndex((one) => one < 2 * TOLERANCE);
  const equal = unequal < 0 ? newTokens : unequal;
  const sure = unsure < 0 ? newTokens : unsure;
  const there = equal < newTokens ? `, where the margin is ${margin[equal].toExponential(1)} of the scale` : '';
  console.log(`greedy ids: ${equal} of ${newTokens} equal (sure: ${sure})${there}`);
  const ratio = median(rates[1].map((rate, i) => rate / rates[0][i]));
  const shown = rates.map((own, i) => `${runs[i].name} ${median(own).toFixed(1)}`).join(', ');
  console.log(`tokens a second: ${shown}; ratio (median of pairs) ${ratio.toFixed(2)}`);
  return off < 1e-3 && most < TOLERANCE && equal >= sure ? 0 : 1;
}

await runToExit(main);
