/**
 * What hostile inputs made at random cost: for each kind how many there were, the slowest and the largest, and each
 * that took over 1 s or 256 MiB above itself, with how it ended. Each kind in a process of its own; run it alone.
 *
 *   node scripts/run.mjs ../bench/hostile [--count 2000] [--seed N] [--only KIND]
 *
 * KIND: files (manifests, indexes, headers, small files and HTTP answers), templates, tokenizers, markdown. Exit status
 * 1 when one neither gives a result nor refuses with a sentence. Linux alone counts memory so.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { NibbleError } from '../src/errors';
import type { Hostile } from '../src/formats/test/hostile';
import { hostileFiles } from '../src/runtime/test/hostile-files';
import { Refusal, TemplateError } from '../src/text/jinja';
import { hostileTemplates } from '../src/text/test/hostile-templates';
import { hostileTokenizer } from '../src/text/test/hostile-tokenizers';
import { hostileMarkdown } from '../src/ui/test/hostile-markdown';
import { fromHere, resident } from './resident';

const MAX_SECONDS = 1;
const MAX_MIB = 256;
/** Characters of a text of Markdown: as long as an answer of a context of 32,768 tokens. */
const LONGEST = 100_000;

function* each(make: (seed: number) => Hostile, seed: number, count: number) {
  for (let i = 0; i < count; i++) yield make(seed + i);
}
const KINDS: Record<string, (seed: number, count: number) => Iterable<Hostile>> = {
  files: (seed, count) => each(hostileFiles, seed, count),
  templates: hostileTemplates,
  tokenizers: (seed, count) => each(hostileTokenizer, seed, count),
  markdown: (seed, count) => hostileMarkdown(seed, count, LONGEST),
};

const REFUSALS = [NibbleError, TemplateError, Refusal];

async function measure(kind: string, seed: number, count: number): Promise<number> {
  let [slowest, largest, refused, faults] = [0, 0, 0, 0];
  for (const { said, bytes, take } of KINDS[kind](seed, count)) {
    globalThis.gc!();
    const before = fromHere();
    const start = process.cpuUsage();
    let end = 'a result';
    try {
      await take();
    } catch (error) {
      refused++;
      end = `${error}`;
      if (!REFUSALS.some((refusal) => error instanceof refusal)) {
        faults++;
        console.log(`${said.slice(0, 300)}: a fault: ${(error as Error).stack}`);
      }
    }
    const { user, system } = process.cpuUsage(start);
    const seconds = (user + system) / 1e6;
    const mib = (resident('VmHWM') - before) / 2 ** 20 - bytes / 2 ** 20;
    slowest = Math.max(slowest, seconds);
    largest = Math.max(largest, mib);
    if (seconds > MAX_SECONDS || mib > MAX_MIB) {
      const cost = `${seconds.toFixed(2)} s, ${mib.toFixed(0)} MiB above ${(bytes / 2 ** 20).toFixed(2)}`;
      console.log(`${said.slice(0, 300)}: ${cost}, ends in ${end.slice(0, 200)}`);
    }
  }
  const cells = [kind, seed, count, refused, `${slowest.toFixed(2)} s`, `${largest.toFixed(0)} MiB`, faults];
  console.log(`| ${cells.join(' | ')} |`);
  return faults;
}

export async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      count: { type: 'string', default: '2000' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
      only: { type: 'string', default: '' },
      kind: { type: 'string' },
    },
  });
  const { count, seed, only, kind } = values;
  if (kind) return (await measure(kind, Number(seed), Number(count))) ? 1 : 0;
  console.log('| kind | seed | how many | refused | slowest | most memory above the input | faults |');
  console.log('|---|---|---|---|---|---|---|');
  const codes = Object.keys(KINDS).flatMap((kind) => {
    if (!kind.includes(only)) return [];
    const child = ['scripts/run.mjs', '../bench/hostile', '--kind', kind, '--count', count, '--seed', seed];
    return spawnSync(process.execPath, ['--expose-gc', ...child], { stdio: 'inherit' }).status;
  });
  return codes.every((code) => code === 0) ? 0 : 1;
}
