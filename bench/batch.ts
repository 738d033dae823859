/**
 * Several answers at once (engine.batch) beside the same one after the other: tokens a second of all together, in turn,
 * and the CPU time that the process took, of which the least counts, since other work on the machine only adds to it;
 * and how many answers differ. Prompts are read before the clock starts, in both ways the same.
 *
 *   node scripts/run.mjs ../bench/batch [--model DIR] [--pairs 5] [--new-tokens 96] [--at-once 1,2,4,8] [--backend cpu]
 *
 * Ids differ where a draw is nearer to another id than sums in another order are apart. Result: bench/batch.md.
 */
import process from 'node:process';
import { parse } from '../src/node/arguments';
import { median } from '../src/node/median';
import { nextId, open } from '../src/node/open';
import { DEFAULT_MODEL } from '../src/runtime/test/default-model';
import { runToExit } from './run';

const text = { type: 'string' } as const;
const OPTIONS = { model: text, pairs: text, 'new-tokens': text, 'at-once': text, backend: text };

const BEGINNINGS = [
  'The history of the lighthouse begins with',
  'To bake a good loaf of bread, you',
  'In the year of the great flood, the town',
  'A computer keeps its numbers in',
  'The teacher asked her class why',
  'Rivers carry sand to the sea because',
  'My grandfather collected clocks, and',
  'Between the stars there is',
  'The first railway of the country ran',
  'When bees find a field of flowers, they',
  'The museum is closed on Mondays, so',
  'A violin is tuned by',
  'Far to the north, winter nights',
  'She opened the letter and read',
  'Cheese was first made when',
  'The engineer measured the bridge and',
];

async function main(): Promise<number> {
  const args = parse('batch', process.argv.slice(3), OPTIONS, 0);
  const [pairs, maxNewTokens] = [args.count('pairs', 5), args.count('new-tokens', 96)];
  const sizes = (args.text('at-once') ?? '1,2,4,8').split(',').map(Number);
  const { session } = await open(args, args.text('model') ?? DEFAULT_MODEL);
  const { backend } = await session.info();
  const ask = async (prompt: string, seed: number, conversation: number, together?: number) => {
    const options = { maxNewTokens, ignoreEos: true, temperature: 1, topK: 40, seed } as const;
    let first = 0;
    const heard = ({ ids }: { ids: number[] }) => {
      if (ids.length > 0) first ||= performance.now();
    };
    const port = { postMessage: heard };
    const request = { id: nextId(), input: { prompt }, options, conversation: together ? undefined : conversation };
    const { ids } = await session.generate({ ...request, together }, port);
    return { ids: ids.join(' '), first, last: performance.now() };
  };
  type Answer = Awaited<ReturnType<typeof ask>>;
  /** tokens a second from the first id of each, or of all, to the last */
  const measured = async (way: () => Promise<{ answers: Answer[]; tps: number }>) => {
    const before = process.cpuUsage();
    const found = await way();
    const { user, system } = process.cpuUsage(before);
    return { ...found, cpu: user + system };
  };
  const oneByOne = async (prompts: readonly string[]) => {
    const answers: Answer[] = [];
    for (const [i, prompt] of prompts.entries()) answers.push(await ask(prompt, i, 100 + i));
    const ms = answers.reduce((sum, { first, last }) => sum + last - first, 0);
    return { answers, tps: ((maxNewTokens - 1) * prompts.length * 1000) / ms };
  };
  const together = async (prompts: readonly string[]) => {
    const answers = await Promise.all(prompts.map((prompt, i) => ask(prompt, i, 0, prompts.length)));
    // none has its first id before all prompts are read
    const ms = Math.max(...answers.map(({ last }) => last)) - Math.min(...answers.map(({ first }) => first));
    return { answers, tps: ((maxNewTokens - 1) * prompts.length * 1000) / ms };
  };
  console.log(
    `${backend}\n\n| at once | one by one, tok/s | together, tok/s | ratio | of CPU time | answers that differ |\n|---|---|---|---|---|---|`,
  );
  for (const size of sizes) {
    const prompts = BEGINNINGS.slice(0, size);
    await together(prompts);
    const runs: { one: number; all: number; oneCpu: number; allCpu: number; differ: number }[] = [];
    for (let i = 0; i < pairs; i++) {
      // each of them comes first in every second pair
      const before = i % 2 ? await measured(() => together(prompts)) : null;
      const one = await measured(() => oneByOne(prompts));
      const all = before ?? (await measured(() => together(prompts)));
      const differ = one.answers.filter(({ ids }, at) => ids !== all.answers[at].ids).length;
      runs.push({ one: one.tps, all: all.tps, oneCpu: one.cpu, allCpu: all.cpu, differ });
    }
    const middle = (of: (run: (typeof runs)[0]) => number) => median(runs.map(of));
    const differ = Math.max(...runs.map((run) => run.differ));
    const least = (of: (run: (typeof runs)[0]) => number) => Math.min(...runs.map(of));
    const cpu = least((run) => run.oneCpu) / least((run) => run.allCpu);
    const cells = [middle((run) => run.one).toFixed(1), middle((run) => run.all).toFixed(1)];
    console.log(
      `| ${size} | ${cells.join(' | ')} | ${middle((run) => run.all / run.one).toFixed(2)} | ${cpu.toFixed(2)} | ${differ} |`,
    );
  }
  await session.dispose();
  return 0;
}

await runToExit(main);
