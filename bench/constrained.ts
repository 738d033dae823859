/**
 * What a constraint costs: the vocabulary's index, masks (of schemas that are drawn, each answer checked by ajv), and
 * decoding under a schema beside decoding without one, on the CPU.
 *
 *   node scripts/run.mjs ../bench/constrained [--model DIR] [--schemas 300] [--seed 1] [--new-tokens 160] [--pairs 3]
 *   [--only masks|decode]
 *   node scripts/run.mjs ../bench/constrained --only host --backend webgpu
 *
 * Masks are asked for as a random writer goes on: each token is drawn evenly from those that may come. The
 * vocabulary of 262,144 is the model's own and made-up words of its tokens. Milliseconds and speeds are of CPU time.
 * The host's share of a step is measured where there is WebGPU, software or not: the mask, its upload, encoding and
 * submitting the draw, and waking up; the model is a small one of the same vocabulary, for that is all it hangs on.
 * Exit status 1 where an answer that ended is not valid, or a schema was refused. Result: bench/constrained.md.
 */
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { Constraint, type Writer } from '../src/constraint/constraint';
import { schemaGrammar } from '../src/constraint/json-schema';
import { randomOf, SchemaWriter } from '../src/constraint/test/random-schemas';
import { Vocabulary } from '../src/constraint/vocabulary';
import { Written } from '../src/constraint/written';
import type { Executor } from '../src/execute/executor';
import type { SampleOptions } from '../src/execute/sampler/options';
import { parse } from '../src/node/arguments';
import { median } from '../src/node/median';
import { nextId, open } from '../src/node/open';
import type { SamplingOptions } from '../src/protocol';
import { DEFAULT_MODEL } from '../src/runtime/test/default-model';
import type { Tokenizer } from '../src/text/tokenizer';
import { HostShare, type HostStep } from './host-share';
import { writeRandomCheckpoint } from './random-checkpoint';
import { runToExit } from './run';

const text = { type: 'string' } as const;
const OPTIONS = { model: text, schemas: text, seed: text, 'new-tokens': text, pairs: text, only: text };
const LARGE = 262_144;
/** The answer's limit where masks are timed. */
const MOST = 200;

/** The tokenizer with made-up tokens behind its own: two of its tokens in one. */
function enlarged(tokenizer: Tokenizer): Writer['tokenizer'] & Tokenizer {
  const random = randomOf(1);
  const { vocabSize } = tokenizer;
  const id = () => 300 + Math.floor(random() * (vocabSize - 300));
  const more = Array.from({ length: LARGE - vocabSize }, () => tokenizer.bytesOf(id()) + tokenizer.bytesOf(id()));
  return {
    ...tokenizer,
    vocabSize: LARGE,
    isToken: (of) => of < LARGE,
    isSpecial: (of) => of < vocabSize && tokenizer.isSpecial(of),
    bytesOf: (of) => (of < vocabSize ? tokenizer.bytesOf(of) : more[of - vocabSize]),
  };
}

/** A folder with a model of one small layer, random weights, and the tokenizer of another. */
function smallModel(like: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'nibble-constrained-'));
  process.on('exit', () => rmSync(folder, { recursive: true }));
  const { quantization_config: _, ...config } = JSON.parse(readFileSync(join(like, 'config.json'), 'utf8'));
  const small = { hidden_size: 64, intermediate_size: 128, num_attention_heads: 2, num_key_value_heads: 1 };
  writeRandomCheckpoint(folder, { ...config, ...small, num_hidden_layers: 1 }, 'bf16');
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) copyFileSync(join(like, name), join(folder, name));
  return folder;
}

/** CPU time of this process so far: what others on the machine take does not count. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const at = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];

/** One of the ids of a mask, each as likely as the others. @param random from 0 to 1 */
function drawn(mask: Uint32Array, random: number): number {
  let count = 0;
  for (let word of mask) for (; word !== 0; word &= word - 1) count++;
  let skipped = Math.floor(random * count);
  for (const [i, of] of mask.entries())
    for (let word = of; word !== 0; word &= word - 1)
      if (skipped-- === 0) return 32 * i + 31 - Math.clz32(word & -word);
  return -1;
}

function masks(tokenizer: Tokenizer, name: string, count: number, seed: number): boolean {
  const began = cpuMs();
  const vocabulary = new Vocabulary(tokenizer, tokenizer.vocabSize);
  const indexMs = cpuMs() - began;
  const writer = { tokenizer, vocabulary, ends: tokenizer.eosIds };
  const ajv = new Ajv({ strict: false });
  addFormats(ajv);
  const schemas = new SchemaWriter(seed);
  const random = randomOf(seed + 1);
  const [firsts, times]: number[][] = [[], []];
  const met = { ended: 0, cut: 0, invalid: 0, refused: 0 };
  for (let n = 0; n < count; n++) {
    const schema = schemas.next();
    const from = cpuMs();
    let answer: Written;
    try {
      answer = new Written(new Constraint(schemaGrammar(schema), writer, 'schema'), true);
      answer.mask(MOST);
      firsts.push(cpuMs() - from);
    } catch (error) {
      met.refused++;
      console.log(`refused: ${(error as Error).message} ${JSON.stringify(schema)}`);
      continue;
    }
    const ids: number[] = [];
    let ends = false;
    for (let left = MOST; left > 0 && !ends; left--) {
      const asked = cpuMs();
      const mask = answer.mask(left);
      times.push(cpuMs() - asked);
      const id = drawn(mask, random());
      ends = tokenizer.eosIds.includes(id);
      if (ends) break;
      ids.push(id);
      answer.push(id);
      ends = answer.mustEnd;
    }
    const bytes = Uint8Array.from(ids.map((id) => tokenizer.bytesOf(id)).join(''), (c) => c.charCodeAt(0));
    const said = new TextDecoder().decode(bytes);
    met[ends ? 'ended' : 'cut']++;
    if (ends && !ajv.validate(schema, JSON.parse(said))) {
      met.invalid++;
      console.log(`not valid: ${said} ${JSON.stringify(schema)}`);
    }
  }
  firsts.sort((a, b) => a - b);
  times.sort((a, b) => a - b);
  const least = Math.min(...schemas.counts.values());
  const cells = [
    name,
    `${indexMs.toFixed(0)} ms, ${(vocabulary.bytes / 2 ** 20).toFixed(1)} MiB`,
    `${median(times).toFixed(3)}, ${at(times, 0.99).toFixed(2)}, ${at(times, 1).toFixed(1)}`,
    `${median(firsts).toFixed(1)}, ${at(firsts, 0.99).toFixed(0)}, ${at(firsts, 1).toFixed(0)}`,
    `${met.ended}, ${met.cut}, ${met.invalid}, ${met.refused}`,
    `${least}`,
  ];
  console.log(`| ${cells.join(' | ')} |`);
  return met.invalid === 0 && met.refused === 0;
}

/** How often each keyword stands in the schemas that masks() has, the rarest first. */
function drawnOften(count: number, seed: number): string {
  const schemas = new SchemaWriter(seed);
  for (let n = 0; n < count; n++) schemas.next();
  const counts = [...schemas.counts].sort(([, a], [, b]) => a - b);
  return counts.map(([keyword, times]) => `${keyword} ${times}`).join(', ');
}

const STORY = {
  type: 'object',
  properties: { title: { type: 'string' }, story: { type: 'string', minLength: 2000 } },
  required: ['title', 'story'],
};
const KEYS = [
  'identifier',
  'manufacturer',
  'description',
  'registration number',
  'date of purchase',
  'price in euros',
  'warranty in months',
  'delivery address',
  'responsible person',
  'condition of the article',
];
const FORM = {
  type: 'object',
  properties: Object.fromEntries(KEYS.map((key) => [key, { type: 'integer', minimum: 0, maximum: 999 }])),
  required: KEYS,
};

const WAYS: Record<string, SamplingOptions> = {
  'a schema of free text': { schema: STORY },
  'ten fixed keys': { schema: FORM },
  'ten fixed keys, nothing forced': { schema: FORM, forced: false },
};

type MakeMask = NonNullable<SampleOptions['mask']>;

/** Has each mask made by `make`, of all answers from now on. @param begins told of each answer's beginning */
function onMask(executor: Executor, make: (mask: MakeMask) => ReturnType<MakeMask>, begins = () => {}): void {
  const { decode } = executor;
  executor.decode = (cache, start, count, sample, signal) => {
    const { mask } = sample;
    begins();
    return decode.call(executor, cache, start, count, { ...sample, mask: mask && (() => make(mask)) }, signal);
  };
}

/** The host's share of a step on WebGPU, the GPU's own time taken out of it. */
async function hostShare(executor: Executor, ask: (options: SamplingOptions) => Promise<unknown>): Promise<void> {
  const share = new HostShare();
  onMask(
    executor,
    (mask) => share.masked(mask),
    () => share.begins(),
  );
  console.log(
    '\n| what | steps | id to mask, ms | mask | upload | encode the draw | all: median, 99 % | a round of nothing |\n|---|---|---|---|---|---|---|---|',
  );
  for (const name of ['a schema of free text', 'ten fixed keys, nothing forced']) {
    const options = WAYS[name];
    // the first answer finds its code cold
    await ask(options);
    share.steps.length = 0;
    await ask(options);
    const { steps } = share;
    const middle = (of: keyof HostStep) => median(steps.map((step) => step[of])).toFixed(3);
    const sorted = steps.map(({ all }) => all).sort((a, b) => a - b);
    console.log(
      `| ${name} | ${steps.length} | ${middle('way')} | ${middle('mask')} | ${middle('upload')} | ${middle('encode')} | ${middle('all')}, ${at(sorted, 0.99).toFixed(2)} | ${(await share.waking()).toFixed(3)} |`,
    );
  }
}

async function main(): Promise<number> {
  const args = parse('constrained', process.argv.slice(3), OPTIONS, 0);
  const [pairs, maxNewTokens, only] = [args.count('pairs', 3), args.count('new-tokens', 160), args.text('only')];
  const model = args.text('model') ?? (only === 'host' ? smallModel(DEFAULT_MODEL) : DEFAULT_MODEL);
  const { session } = await open(args, model);
  const tokenizer = session.model().tokenizer!;
  let right = true;
  if (only === undefined || only === 'masks') {
    const [count, seed] = [args.count('schemas', 300), args.count('seed', 1)];
    console.log(
      '| vocabulary | index | mask: median, 99 %, most, ms | first of a schema: median, 99 %, most, ms | ended, cut, not valid, refused | least of a keyword |\n|---|---|---|---|---|---|',
    );
    right = masks(tokenizer, `${tokenizer.vocabSize}`, count, seed) && right;
    right = masks(enlarged(tokenizer), `${LARGE}`, count, seed) && right;
    console.log(`\nEach keyword was drawn: ${drawnOften(count, seed)}`);
  }
  const ask = async (options: SamplingOptions) => {
    const request = {
      id: nextId(),
      input: { prompt: 'Once upon a time' },
      options: { maxNewTokens, temperature: 1, seed: 7, ...options },
    };
    const before = cpuMs();
    const { stats } = await session.generate(request, { postMessage() {} });
    return (1000 * stats.newTokens) / (cpuMs() - before);
  };
  if (only === 'host') await hostShare(session.model().executor, ask);
  if (only === undefined || only === 'decode') {
    const times: number[] = [];
    onMask(session.model().executor, async (mask) => {
      const before = performance.now();
      const words = await mask();
      times.push(performance.now() - before);
      return words;
    });
    console.log(
      '\n| what | free, tokens a second of CPU time | with it | ratio | mask of a step: median, 99 %, ms |\n|---|---|---|---|---|',
    );
    for (const [name, options] of Object.entries(WAYS)) {
      await ask(options);
      times.length = 0;
      const both: [number, number][] = [];
      for (let n = 0; n < pairs; n++) both.push([await ask({ ignoreEos: true }), await ask(options)]);
      const sorted = times.toSorted((a, b) => a - b);
      const middle = (of: (pair: [number, number]) => number, digits: number) => median(both.map(of)).toFixed(digits);
      console.log(
        `| ${name} | ${middle(([free]) => free, 1)} | ${middle(([, held]) => held, 1)} | ${middle(([free, held]) => held / free, 2)} | ${median(sorted).toFixed(3)}, ${at(sorted, 0.99).toFixed(2)} |`,
      );
    }
  }
  await session.dispose();
  return right ? 0 : 1;
}

await runToExit(main);
