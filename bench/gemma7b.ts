/**
 * Gemma-7B's full geometry as a random NF4 checkpoint (4.4 GB), in Chromium on WebGPU (SwiftShader, whose buffers live
 * in the GPU process), under a budget of 6 GiB: what LitGPT's Python API could not do on a card of 16 GB.
 *
 *   npm run build && node scripts/run.mjs ../bench/gemma7b [--layers 28] [--budget BYTES] [--only
 *   library,page,widget,CLI]
 *     [--config CONFIG.json] [--context TOKENS] [--tune NAME] [--folder /tmp/nibble-gemma7b] [--write]
 *
 * The library loads it over HTTP into IndexedDB and answers a prompt of 4 tokens with 2 new ones, with a KV cache of
 * 384 slots; with the model's full context the same load is refused. Chat page and widget (from IndexedDB) and the CLI
 * (from disk) are asked the same with the same options. Exit status 1 unless all answer with the same ids, and plan,
 * ledger and counted buffers are the same bytes, at rest and at most. --config is another geometry, to try all this
 * with (its weights are made into --folder where none are there). --write puts the tables into bench/gemma7b.md. Takes
 * half an hour on two cores.
 */
import { copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openPipedPage, type PipedPage } from '../scripts/testing/devtools-pipe';
import type { StaticServer } from '../scripts/testing/server';
import type { JsonObject } from '../src/formats/json';
import {
  type Answered,
  ask,
  type CommandLinePlan,
  FACES,
  type Face,
  placeOf,
  planOf,
  refusal,
  type Sizes,
  serveFaces,
} from './faces';
import { geometryOf } from './gemma7b-geometry';
import { between } from './library-page';
import { residentBytes } from './processes';
import { writeRandomCheckpoint } from './random-checkpoint';

/** any whose ids are within the vocabulary */
const TOKENIZER = 'reference/fixtures/tiny-llama-128/nf4';
/** Nothing is added to what was said, so that a chat's prompt is as short as the issue has it. */
const TEMPLATE = '{% for message in messages %}{{ message.content }}{% endfor %}';
const TEXT = 'Who?';
/** that TEXT is in TOKENIZER */
const PROMPT_TOKENS = 4;
const NEW_TOKENS = 2;
const SLOTS = 384;
/** as the story has it; with fewer layers --budget tries the same */
const BUDGET = 6 * 1024 ** 3;
const EVERY_MS = 100;
const REPORT = 'bench/gemma7b.md';

/** Writes what is not there yet. @returns bytes of the weights' file */
function prepare(folder: string, config: JsonObject): number {
  const file = join(folder, 'model.safetensors');
  const bytes = existsSync(file) ? statSync(file).size : writeRandomCheckpoint(folder, config, 'nf4');
  copyFileSync(join(TOKENIZER, 'tokenizer.json'), join(folder, 'tokenizer.json'));
  const own = JSON.parse(readFileSync(join(TOKENIZER, 'tokenizer_config.json'), 'utf8'));
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ ...own, chat_template: TEMPLATE }));
  return bytes;
}

interface Usage {
  rendererStart: number;
  rendererPeak: number;
  gpuStart: number;
  gpuPeak: number;
}

/** Runs a task while the browser's processes are watched. */
async function watched<T>({ profile }: PipedPage, task: () => Promise<T>): Promise<{ result: T; usage: Usage }> {
  const renderer = () => residentBytes(profile, 'renderer');
  const gpu = () => residentBytes(profile, 'gpu-process');
  const usage = { rendererStart: renderer(), rendererPeak: 0, gpuStart: gpu(), gpuPeak: 0 };
  const timer = setInterval(() => {
    usage.rendererPeak = Math.max(usage.rendererPeak, renderer());
    usage.gpuPeak = Math.max(usage.gpuPeak, gpu());
  }, EVERY_MS);
  try {
    return { result: await task(), usage };
  } finally {
    clearInterval(timer);
  }
}

/** What is not as planned, or not as the first face had it; in sentences. */
function faults(face: Face, answered: Answered, first: Answered, plan: Sizes): string[] {
  const { promptTokens, ids, memory, counted } = answered;
  const own = answered.plan ?? plan;
  const all: [what: string, is: number | string, shouldBe: number | string][] = [
    ['prompt tokens', promptTokens, PROMPT_TOKENS],
    ['new tokens', ids.length, NEW_TOKENS],
    ['new ids', ids.join(), first.ids.join()],
    ['bytes planned', own.total, plan.total],
    ['bytes planned at most', own.peak, plan.peak],
    ['bytes by the ledger', memory.total, plan.total],
    ['bytes by the ledger at most', memory.peak, plan.peak],
    ['bytes counted', counted.live, plan.total],
    ['bytes counted at most', counted.peak, plan.peak],
  ];
  return all.flatMap(([what, is, shouldBe]) => (is === shouldBe ? [] : [`${face}: ${what} ${is}, not ${shouldBe}.`]));
}

const seconds = (ms: number) => (ms / 1000).toFixed(0);
const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(0);

function rowOf(face: Face, from: string, { loadMs, answerMs, ids, memory, counted }: Answered, usage: Usage): string {
  const cells = [
    face,
    from,
    loadMs === undefined ? 'with the answer' : seconds(loadMs),
    seconds(answerMs),
    ids.join(', '),
    `${counted.live}, ${counted.peak}`,
    `${memory.total}, ${memory.peak}`,
    ...(face === 'CLI'
      ? ['', '']
      : [`${mib(usage.rendererStart)}, ${mib(usage.rendererPeak)}`, `${mib(usage.gpuStart)}, ${mib(usage.gpuPeak)}`]),
  ];
  return `| ${cells.join(' | ')} |`;
}

/** Whence the weights came, of a file of so many bytes. */
function origin(face: Face, site: StaticServer, bytes: number): string {
  if (face === 'CLI') return 'disk';
  const sent = site.bytes('/model/model.safetensors');
  return sent > bytes / 2 ? `HTTP, ${sent} bytes sent` : `IndexedDB, ${sent} bytes sent`;
}

const TABLE_HEAD = [
  '| through | from | load, s | answer, s | new ids | bytes of all GPU buffers, counted: at rest, at most | by the ledger | renderer, MiB: at the start, at most | GPU process |',
  '|---|---|---|---|---|---|---|---|---|',
];

/** @param sent bytes of the model's folder, until it was refused */
const sentences = (refused: { message: string; details: object }, sent: number, plan: CommandLinePlan) => [
  `\`kvCapacity: 'full'\`: refused before any weight was fetched (${sent} bytes sent): ${refused.message} \`${JSON.stringify(refused.details)}\`\n`,
  `\`kvCapacity: ${SLOTS}\`: planned ${plan.total} bytes (weights ${plan.weights}, KV ${plan.kv}, scratch ${plan.scratch}), at most ${plan.peak} with ${plan.staging} of staging while it loads. KV of the full context would be ${plan.kv_full_context}.\n`,
];

export async function main(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      layers: { type: 'string', default: '28' },
      only: { type: 'string', default: FACES.join() },
      folder: { type: 'string', default: '/tmp/nibble-gemma7b' },
      budget: { type: 'string', default: String(BUDGET) },
      config: { type: 'string' },
      context: { type: 'string' },
      tune: { type: 'string', default: 'off' },
      write: { type: 'boolean' },
    },
  });
  const wanted = FACES.filter((face) => values.only.split(',').includes(face));
  if (wanted.length === 0) throw new Error(`--only takes some of ${FACES.join()}.`);
  const folder = join(values.folder, `nf4-${values.layers}`);
  const config = values.config ? JSON.parse(readFileSync(values.config, 'utf8')) : geometryOf(Number(values.layers));
  if (values.context) config.max_position_embeddings = Number(values.context);
  const bytes = prepare(folder, config);
  const memoryBudget = Number(values.budget);
  const question = { text: TEXT, maxNewTokens: NEW_TOKENS, kvCapacity: SLOTS, memoryBudget, tune: values.tune };
  const plan = await planOf(question, folder, PROMPT_TOKENS);
  const site = await serveFaces(folder, question);
  const page = await openPipedPage(`${site.origin}/blank.html`);
  const lines: string[] = [];
  const say = (line: string) => {
    console.log(line);
    lines.push(line);
  };
  const answers: Answered[] = [];
  const wrong: string[] = [];
  try {
    const refused = await refusal(page, question);
    for (const line of [...sentences(refused, site.bytes('/model/'), plan), ...TABLE_HEAD]) say(line);
    for (const face of wanted) {
      site.reset();
      await page.navigate(site.origin + placeOf(face, question));
      const { result, usage } = await watched(page, () => ask(face, page, question, folder));
      answers.push(result);
      wrong.push(...faults(face, result, answers[0], plan));
      say(rowOf(face, origin(face, site, bytes), result, usage));
    }
  } finally {
    await page.close();
    await site.close();
  }
  const day = new Date().toISOString().slice(0, 10);
  const load = loadavg()[0].toFixed(0);
  const made = `${day}, ${page.machine}, load average ${load} at the end; ${values.layers} layers, ${bytes} bytes.\n`;
  console.log(made);
  for (const fault of wrong) console.error(fault);
  if (values.write && wrong.length === 0)
    writeFileSync(
      REPORT,
      between(readFileSync(REPORT, 'utf8'), `${values.layers} layers`, [made, ...lines].join('\n')),
    );
  return wrong.length === 0 ? 0 : 1;
}
