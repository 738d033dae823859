/**
 * The default model, and the GGUF that it was made from, against torch in float32 on the same weights: logits after ten
 * prompts, 32 greedy ids each, perplexity on prose.
 *
 *   node scripts/run.mjs ../bench/logits [--gguf FILE] [--backend cpu|webgpu] [--only prompts|perplexity]
 *     [--prompts N] [--new-tokens N] [--windows N] [--no-default]
 *
 * and the engine's common options (`nibble --help`) without --kv: both types are run. Exit status 1 when anything is
 * out of bounds.
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import process from 'node:process';
import { type Arguments, invalid, parse } from '../src/node/arguments';
import { measure } from '../src/node/commands/perplexity';
import { open } from '../src/node/open';
import { tokenizerOf } from '../src/runtime/prompt';
import { answerOf } from '../src/runtime/test/answer-of';
import { DEFAULT_MODEL, expectedPerplexity, expectedPrompts, TOLERANCE } from '../src/runtime/test/default-model';
import { difference, sureSteps } from '../src/runtime/test/prompts';
import { runToExit } from './run';

const PROMPTS = 10;
const NEW_TOKENS = 32;
/** Of the GGUF on the same windows, by torch: bench/default-model.md. */
const GGUF_PERPLEXITY = 14.575;
const PERPLEXITY_TOLERANCE = 0.005;

const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(0)} s`;

function withKv(args: Arguments, kv: string, argv: readonly string[]): Arguments {
  return parse(args.command, [...argv, '--kv', kv], OPTIONS, 0);
}

const OPTIONS = {
  gguf: { type: 'string' },
  windows: { type: 'string' },
  prompts: { type: 'string' },
  'new-tokens': { type: 'string' },
  only: { type: 'string' },
  'no-default': { type: 'boolean' },
} as const;

/** @returns whether all is within bounds */
async function prompts(args: Arguments, path: string, of: 'default' | 'q4_1', kv: 'f32' | 'f16'): Promise<boolean> {
  const tolerance = TOLERANCE[kv];
  const start = performance.now();
  const newTokens = Math.min(NEW_TOKENS, args.count('new-tokens', NEW_TOKENS));
  const { session, info } = await open(args, path);
  console.log(
    `\n${path}, KV ${kv}, ${info.backend}${info.adapter ? ` (${info.adapter.description})` : ''}; tolerance ${tolerance}\n`,
  );
  console.log('| prompt | tokens | logits: difference / scale | greedy ids: equal / sure / all | within |');
  console.log('|---|---|---|---|---|');
  let allGood = true;
  for (const [i, prompt] of expectedPrompts(of).slice(0, args.count('prompts', PROMPTS)).entries()) {
    const { logits, ids } = await answerOf(session.model(), prompt.ids, newTokens);
    const off = difference(logits, prompt);
    const unequal = ids.findIndex((id, step) => id !== prompt.greedy[step]);
    const equal = unequal < 0 ? ids.length : unequal;
    const sure = Math.min(newTokens, sureSteps(prompt, tolerance));
    const good = off < tolerance && equal >= sure && ids.length === newTokens;
    allGood &&= good;
    const kept = prompt.logits ? `all ${prompt.logits.length}` : `top ${prompt.top.ids.length}`;
    console.log(
      `| ${i} | ${prompt.ids.length} | ${off.toExponential(2)} (${kept}) | ${equal} / ${sure} / ${newTokens} | ${good ? 'yes' : '**no**'} |`,
    );
  }
  await session.dispose();
  console.log(`\n${seconds(start)}`);
  return allGood;
}

async function perplexity(args: Arguments, path: string, of: 'default' | 'q4_1'): Promise<boolean> {
  const start = performance.now();
  const whole = expectedPerplexity().find(({ limit }) => limit === null)!;
  const right = of === 'default' ? whole.perplexity : GGUF_PERPLEXITY;
  const { session } = await open(args, path);
  const model = session.model();
  const ids = tokenizerOf(model).encode(readFileSync(whole.text, 'utf8'), { special: false, bos: false });
  const all = Math.floor(ids.length / whole.window);
  const windows = Math.min(all, args.count('windows', all));
  const result = await measure(model, ids, whole.window, windows, (done, soFar) =>
    console.error(`window ${done} of ${windows}: ${soFar.toFixed(4)} after ${seconds(start)}`),
  );
  await session.dispose();
  const off = Math.abs(result.perplexity / right - 1);
  const complete = windows === all;
  const good =
    ids.length === whole.textTokens &&
    (!complete || (result.tokens === whole.predictedTokens && off < PERPLEXITY_TOLERANCE));
  const verdict = complete
    ? `torch ${right.toFixed(4)}, difference ${(100 * off).toFixed(3)} %, within: ${good ? 'yes' : '**no**'}`
    : 'not all windows: not compared';
  console.log(
    `\n${path}: perplexity ${result.perplexity.toFixed(4)} over ${result.tokens} tokens of ${whole.text} (${windows} windows of ${whole.window}, KV ${model.options.kv}); ${verdict}; ${seconds(start)}`,
  );
  return good;
}

async function run(argv: readonly string[]): Promise<number> {
  const args = parse('bench/logits', argv, OPTIONS, 0);
  const gguf = args.text('gguf');
  const models: [string, 'default' | 'q4_1'][] = [];
  if (!args.flag('no-default')) models.push([DEFAULT_MODEL, 'default']);
  if (gguf) models.push([gguf, 'q4_1']);
  console.log(`${cpus()[0].model}, ${cpus().length} cores, Node ${process.version}`);
  const only = args.text('only') ?? 'both';
  if (!['both', 'prompts', 'perplexity'].includes(only))
    throw invalid('only', only, '--only takes prompts or perplexity.');
  let good = true;
  for (const [path, of] of only === 'perplexity' ? [] : models) {
    for (const kv of ['f32', 'f16'] as const) good = (await prompts(withKv(args, kv, argv), path, of, kv)) && good;
  }
  for (const [path, of] of only === 'prompts' ? [] : models) good = (await perplexity(args, path, of)) && good;
  console.log(good ? '\nAll within bounds.' : '\nOut of bounds.');
  return good ? 0 : 1;
}

export const main = (argv: readonly string[]): Promise<never> => runToExit(() => run(argv));
