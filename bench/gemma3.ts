/**
 * The real Gemma 3 270M from its GGUF, at the file's own precision and as NF4, against transformers in float32 on the
 * same weights: logits after three prompts, 24 greedy ids each, perplexity on prose.
 *
 *   node scripts/run.mjs ../bench/gemma3 [--backend cpu|webgpu] [--weights keep|nf4] [--kv f32|f16]
 *     [--only prompts|perplexity] [--new-tokens N]
 *
 * and the engine's other common options (`nibble --help`). Without --weights and --kv all are run; the perplexity is
 * that of the last KV type. The file is NIBBLE_GEMMA3. Exit status 1 when anything is out of bounds.
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import process from 'node:process';
import { type Arguments, invalid, parse } from '../src/node/arguments';
import { measure } from '../src/node/commands/perplexity';
import { open } from '../src/node/open';
import type { Model } from '../src/runtime/model';
import { tokenizerOf } from '../src/runtime/prompt';
import { answerOf } from '../src/runtime/test/answer-of';
import {
  expectedGemma3,
  findGemma3,
  GEMMA3_MISSING,
  GEMMA3_TOLERANCE,
  type Gemma3Weights,
} from '../src/runtime/test/gemma3';
import { difference, sureSteps } from '../src/runtime/test/prompts';
import { runToExit } from './run';

type Kv = keyof typeof GEMMA3_TOLERANCE;

const PERPLEXITY_TOLERANCE = 0.005;
const OPTIONS = { only: { type: 'string' }, 'new-tokens': { type: 'string' } } as const;

const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(0)} s`;
const expected = expectedGemma3();

/** One of the values of an option, or all of them where it is not given. */
function chosen<T extends string>(args: Arguments, option: string, all: readonly T[]): readonly T[] {
  const value = args.text(option);
  if (value === undefined) return all;
  const found = all.filter((one) => one === value);
  if (found.length === 0) throw invalid(option, value, `--${option} takes ${all.join(' or ')}.`);
  return found;
}

/** @returns whether all is within bounds */
async function prompts(model: Model, weights: Gemma3Weights, kv: Kv, newTokens: number): Promise<boolean> {
  const start = performance.now();
  const tolerance = GEMMA3_TOLERANCE[kv];
  console.log(`Tolerance ${tolerance}\n`);
  console.log('| prompt | tokens | logits: difference / scale | greedy ids: equal / sure / all | within |');
  console.log('|---|---|---|---|---|');
  let allGood = true;
  for (const prompt of expected.weights[weights].prompts) {
    const own = tokenizerOf(model).encode(prompt.text, { special: false, bos: true });
    const { logits, ids } = await answerOf(model, prompt.ids, newTokens);
    const off = difference(logits, prompt);
    const unequal = ids.findIndex((id, step) => id !== prompt.greedy[step]);
    const equal = unequal < 0 ? ids.length : unequal;
    const sure = Math.min(newTokens, sureSteps(prompt, tolerance));
    const good = own.join() === prompt.ids.join() && off < tolerance && equal >= sure;
    allGood &&= good;
    const places = `${off.toExponential(2)} (${prompt.top.ids.length} of ${logits.length})`;
    const row = [prompt.text, prompt.ids.length, places, `${equal} / ${sure} / ${ids.length}`, good ? 'yes' : '**no**'];
    console.log(`| ${row.join(' | ')} |`);
  }
  console.log(`\n${seconds(start)}\n`);
  return allGood;
}

/** Windows of the text's ids one after the other, each with a BOS in front where asked. */
function windowed(ids: readonly number[], window: number, windows: number, bos: readonly number[]): number[] {
  const step = window - bos.length;
  return Array.from({ length: windows }, (_, w) => [...bos, ...ids.slice(w * step, (w + 1) * step)]).flat();
}

async function perplexity(model: Model, weights: Gemma3Weights): Promise<boolean> {
  const { text, textTokens, window, windows } = expected.perplexity;
  const tokenizer = tokenizerOf(model);
  const ids = tokenizer.encode(readFileSync(text, 'utf8'), { special: false, bos: false });
  let allGood = ids.length === textTokens;
  console.log(`${text}: ${ids.length} tokens, transformers ${textTokens}; ${windows} windows of ${window}\n`);
  console.log('| windows | perplexity | transformers | difference | within |');
  console.log('|---|---|---|---|---|');
  const start = performance.now();
  for (const kind of ['bare', 'withBos'] as const) {
    const right = expected.weights[weights].perplexity[kind];
    const bos = kind === 'withBos' ? tokenizer.encode('', { special: false, bos: true }) : [];
    const result = await measure(model, windowed(ids, window, windows, bos), window, windows);
    const off = Math.abs(result.perplexity / right - 1);
    const good = off < PERPLEXITY_TOLERANCE && result.tokens === windows * (window - 1);
    allGood &&= good;
    const name = kind === 'bare' ? 'as `nibble perplexity`' : 'with BOS';
    const numbers = [result.perplexity.toFixed(4), right.toFixed(4), `${(100 * off).toFixed(3)} %`];
    console.log(`| ${[name, ...numbers, good ? 'yes' : '**no**'].join(' | ')} |`);
  }
  console.log(`\n${seconds(start)}\n`);
  return allGood;
}

async function run(argv: readonly string[]): Promise<number> {
  const args = parse('bench/gemma3', argv, OPTIONS, 0);
  const path = findGemma3();
  if (!path) throw new Error(GEMMA3_MISSING);
  const parts = chosen(args, 'only', ['prompts', 'perplexity'] as const);
  const kvs = chosen(args, 'kv', ['f32', 'f16'] as const);
  const newTokens = args.count('new-tokens', 24);
  console.log(`${cpus()[0].model}, ${cpus().length} cores, Node ${process.version}`);
  let good = true;
  for (const weights of chosen(args, 'weights', ['keep', 'nf4'] as const)) {
    for (const kv of parts.includes('prompts') ? kvs : kvs.slice(-1)) {
      const start = performance.now();
      const options = parse(args.command, [...argv, '--weights', weights, '--kv', kv], OPTIONS, 0);
      const { session, info } = await open(options, path);
      const types = Object.entries(info.weightTypes).map(([type, { count, bytes }]) => `${count} ${type} (${bytes})`);
      console.log(
        `\n## Weights ${weights}, KV ${kv}, ${info.backend} (${info.adapter?.description ?? 'JavaScript'})\n`,
      );
      console.log(
        `Loaded in ${seconds(start)}; limits ${info.options.limits}; bytes of matrices: ${types.join(', ')}\n`,
      );
      const model = session.model();
      if (parts.includes('prompts')) good = (await prompts(model, weights, kv, newTokens)) && good;
      if (parts.includes('perplexity') && kv === kvs.at(-1)) good = (await perplexity(model, weights)) && good;
      await session.dispose();
    }
  }
  console.log(good ? 'All within bounds.' : 'Out of bounds.');
  return good ? 0 : 1;
}

export const main = (argv: readonly string[]): Promise<never> => runToExit(() => run(argv));
