/**
 * What a shift costs in perplexity: a text fills the cache, tokens in its middle are dropped, and what follows is
 * predicted from the shifted cache, from a fresh prefill of the same kept tokens, and with nothing dropped. Each window
 * begins `next` tokens after the one before, so that each token of the text beyond the first is predicted once.
 *
 *   node scripts/run.mjs ../bench/shift [--model DIR] [--file TEXT] [--fill 512] [--keep 4] [--drop 128] [--next 128]
 *     [--windows N] [--from W] [--tolerance 0.01]
 *
 * and the engine's common options (`nibble --help`). Exit status 1 where the two differ by more than the tolerance, 1
 * %. Result: bench/shift.md.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import type { KvCache } from '../src/execute/executor';
import { seenOf } from '../src/generate/overflow';
import { parse } from '../src/node/arguments';
import { open } from '../src/node/open';
import { planFor } from '../src/runtime/planning';
import { tokenizerOf } from '../src/runtime/prompt';
import { DEFAULT_MODEL } from '../src/runtime/test/default-model';
import { runToExit } from './run';

const text = { type: 'string' } as const;
const sizes = { fill: text, keep: text, drop: text, next: text, windows: text, from: text };
const OPTIONS = { model: text, file: text, tolerance: text, ...sizes };

async function main(): Promise<number> {
  const args = parse('shift', process.argv.slice(3), OPTIONS, 0);
  const [fill, keep, drop] = [args.count('fill', 512), args.count('keep', 4), args.count('drop', 128)];
  const next = args.count('next', 128, 2);
  const { session, info } = await open(args, args.text('model') ?? DEFAULT_MODEL);
  const model = session.model();
  const { executor } = model;
  const prose = readFileSync(args.text('file') ?? 'bench/texts/prose.txt', 'utf8');
  const ids = tokenizerOf(model).encode(prose, { special: false, bos: false });
  const from = args.count('from', 0, 0);
  const end = Math.min(Math.floor((ids.length - fill) / next), from + args.count('windows', 1000));
  if (from >= end) throw new Error(`The text has no window ${from}: it has ${Math.floor((ids.length - fill) / next)}.`);
  /** what each prediction lost, nats */
  const losses = { shifted: [] as number[], fresh: [] as number[], whole: [] as number[] };

  /** Adds the surprise at the tokens of `part` but the first, which are at positions from `start`. */
  async function predict(cache: KvCache, part: number[], start: number, as: keyof typeof losses): Promise<void> {
    const [logProbs] = await executor.score([{ cache, ids: part, start }]);
    for (const logProb of logProbs) losses[as].push(-logProb);
  }

  async function withCache(work: (cache: KvCache) => Promise<void>): Promise<void> {
    const cache = executor.createCache();
    await cache.reserve(planFor(model, fill + next, 1));
    await work(cache);
    cache.dispose();
  }

  console.log(
    `${info.name} on ${info.backend}, KV ${info.options.kv}: ${fill} tokens, of which ${drop} after ${keep} go`,
  );
  console.log('| windows | tokens | shifted | fresh prefill of what is kept | nothing dropped | shifted / fresh |');
  console.log('|---|---|---|---|---|---|');
  let ratio = 1;
  for (let w = from; w < end; w++) {
    const before = ids.slice(w * next, w * next + fill);
    const after = ids.slice(w * next + fill, (w + 1) * next + fill);
    await withCache(async (cache) => {
      await executor.prefill(cache, before, 0);
      await predict(cache, after, fill, 'whole');
      await cache.shift({ keep, drop, end: fill });
      await predict(cache, after, fill - drop, 'shifted');
    });
    await withCache(async (cache) => {
      await executor.prefill(cache, seenOf(before, keep, drop), 0);
      await predict(cache, after, fill - drop, 'fresh');
    });
    const { mean, error } = meanOf(losses.shifted.map((loss, i) => loss - losses.fresh[i]));
    ratio = Math.exp(mean);
    const figures = [losses.shifted, losses.fresh, losses.whole].map((each) => Math.exp(meanOf(each).mean).toFixed(3));
    const cells = [w + 1 - from, losses.fresh.length, ...figures, `${ratio.toFixed(4)} ± ${error.toFixed(4)}`];
    console.log(`| ${cells.join(' | ')} |`);
  }
  await session.dispose();
  return Math.abs(ratio - 1) <= Number(args.text('tolerance') ?? 0.01) ? 0 : 1;
}

/** Mean of some figures, and its standard error as if they were independent. */
function meanOf(figures: number[]): { mean: number; error: number } {
  const mean = figures.reduce((sum, figure) => sum + figure, 0) / figures.length;
  const squares = figures.reduce((sum, figure) => sum + (figure - mean) ** 2, 0);
  return { mean, error: Math.sqrt(squares / (figures.length - 1) / figures.length) };
}

await runToExit(main);
