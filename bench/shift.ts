/**
 * What a shift costs in perplexity: a text fills the cache, tokens in its middle are dropped, and what follows is
 * predicted from the shifted cache, from a fresh prefill of the same kept tokens, and with nothing dropped.
 *
 *   node scripts/run.mjs ../bench/shift [--model DIR] [--file TEXT] [--fill 512] [--keep 4] [--drop 128] [--next 128]
 *     [--windows N]
 *
 * and the engine's common options (`nibble --help`). Exit status 1 where the shifted cache is more than 1 %
 * worse than the fresh one. Result: bench/shift.md.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import type { KvCache } from '../src/execute/executor';
import { seenOf } from '../src/generate/overflow';
import { parse } from '../src/node/arguments';
import { surprise } from '../src/node/commands/perplexity';
import { open } from '../src/node/open';
import { tokenizerOf } from '../src/worker/answer';
import { planFor } from '../src/worker/planning';
import { DEFAULT_MODEL } from '../src/worker/test/default-model';
import { runToExit } from './run';

const TOLERANCE = 0.01;

const text = { type: 'string' } as const;
const OPTIONS = { model: text, file: text, fill: text, keep: text, drop: text, next: text, windows: text };

async function main(): Promise<number> {
  const args = parse('shift', process.argv.slice(3), OPTIONS, 0);
  const [fill, keep, drop] = [args.count('fill', 512), args.count('keep', 4), args.count('drop', 128)];
  const next = args.count('next', 128, 2);
  const { session, info } = await open(args, args.text('model') ?? DEFAULT_MODEL);
  const model = session.model();
  const { executor } = model;
  const prose = readFileSync(args.text('file') ?? 'bench/texts/prose.txt', 'utf8');
  const ids = tokenizerOf(model).encode(prose, { special: false, bos: false });
  const windows = Math.min(Math.floor(ids.length / (fill + next)), args.count('windows', 1000));
  const sums = { shifted: 0, fresh: 0, whole: 0 };

  /** Adds the surprise at the tokens of `part` but the first, which are at positions from `start`. */
  async function predict(cache: KvCache, part: number[], start: number, as: keyof typeof sums): Promise<void> {
    await executor.prefill(cache, part, start, {
      onLogits(position, logits) {
        const next = position - start + 1;
        if (next < part.length) sums[as] += surprise(logits, part[next]);
      },
    });
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
  for (let w = 0; w < windows; w++) {
    const before = ids.slice(w * (fill + next), w * (fill + next) + fill);
    const after = ids.slice(w * (fill + next) + fill, (w + 1) * (fill + next));
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
    const tokens = (w + 1) * (next - 1);
    const [shifted, fresh, whole] = [sums.shifted, sums.fresh, sums.whole].map((sum) => Math.exp(sum / tokens));
    ratio = shifted / fresh;
    const cells = [w + 1, tokens, shifted.toFixed(3), fresh.toFixed(3), whole.toFixed(3), ratio.toFixed(4)];
    console.log(`| ${cells.join(' | ')} |`);
  }
  await session.dispose();
  return ratio <= 1 + TOLERANCE ? 0 : 1;
}

await runToExit(main);
