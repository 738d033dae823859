/**
 * What the KV types cost: f16 and int8 beside f32, on the CPU executor, over a prompt and the 32 greedy ids that
 * follow.
 *
 *   node scripts/run.mjs ../bench/kv [--only TEXT] [--prompts N]
 *
 * The tiny models of every family (reference/fixtures), Qwen2s with key biases as large as the real ones', and the
 * default model.
 */
import { parseArgs } from 'node:util';
import { BIASED, biasedModel, SLOWEST_PAIR } from '../src/execute/cpu/test/biased';
import { FAMILY_FIXTURES } from '../src/execute/cpu/test/fixtures';
import {
  allLogits,
  expected,
  GREEDY,
  largestDifference,
  openFixture,
  randomValues,
  take,
} from '../src/execute/cpu/test/models';
import { argmax } from '../src/execute/sampler/chain';
import type { OneCache } from '../src/execute/test/one-cache';
import type { KvType } from '../src/memory/kv';
import type { PlanRequest } from '../src/memory/plan';
import { DEFAULT_MODEL, expectedPrompts } from '../src/runtime/test/default-model';

const NEW_TOKENS = 32;

interface Case {
  name: string;
  prompts: readonly number[][];
  open(size: Pick<PlanRequest, 'kvType' | 'promptTokens' | 'maxNewTokens'>): Promise<OneCache>;
}

const biased = (name: string, pair: number): Case => ({
  name,
  prompts: [Array.from(randomValues(200, 9), (value) => Math.floor((BIASED.vocab / 2) * (1 + value)))],
  open: (size) => biasedModel(pair, size),
});

function cases(prompts: number): Case[] {
  return [
    ...FAMILY_FIXTURES.filter(([path]) => path.endsWith('/bf16')).map(
      ([path, weights]): Case => ({
        name: path,
        prompts: expected(path).prompts.map(({ ids }) => ids),
        open: async (size) => (await openFixture(path, size, weights)).executor,
      }),
    ),
    biased('Qwen2, key biases of 200 on the slowest pairs', SLOWEST_PAIR),
    biased('Qwen2, key biases of 200 on pairs that turn', 8),
    {
      name: DEFAULT_MODEL,
      prompts: expectedPrompts('default')
        .slice(0, prompts)
        .map(({ ids }) => ids),
      open: async (size) => (await openFixture(`../../${DEFAULT_MODEL}`, size)).executor,
    },
  ];
}

/** Rows of logits of every prompt with `greedy` after it; makes the greedy ids where there are none. */
async function run({ prompts, open }: Case, kvType: KvType, greedy: number[][]): Promise<Float32Array[]> {
  const promptTokens = Math.max(...prompts.map((ids) => ids.length));
  // The last greedy id is computed with too.
  const executor = await open({ kvType, promptTokens, maxNewTokens: NEW_TOKENS + 1 });
  const rows: Float32Array[] = [];
  for (const [i, ids] of prompts.entries()) {
    if (greedy.length <= i) {
      await executor.prefill(ids, 0);
      greedy.push(await take(executor.decode(ids.length, NEW_TOKENS, GREEDY)));
    }
    rows.push(...(await allLogits(executor, [...ids, ...greedy[i]])));
  }
  executor.dispose();
  return rows;
}

export async function main(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: { only: { type: 'string', default: '' }, prompts: { type: 'string', default: '2' } },
  });
  console.log('| model | positions | f16: logits | choices that differ | int8: logits | choices that differ |');
  console.log('|---|---|---|---|---|---|');
  for (const one of cases(Number(values.prompts)).filter(({ name }) => name.includes(values.only))) {
    const greedy: number[][] = [];
    const right = await run(one, 'f32', greedy);
    const scale = Math.max(...right.map((row) => largestDifference(row, new Float32Array(row.length))));
    const cells: string[] = [];
    for (const kvType of ['f16', 'int8'] as const) {
      const rows = await run(one, kvType, greedy);
      const off = Math.max(...rows.map((row, i) => largestDifference(row, right[i]))) / scale;
      const differ = rows.filter((row, i) => argmax(row) !== argmax(right[i])).length;
      cells.push(off.toExponential(1), String(differ));
    }
    console.log(`| ${one.name} | ${right.length} | ${cells.join(' | ')} |`);
  }
  return 0;
}
