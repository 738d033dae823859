/**
 * `npm test`: everything, with each stage's time, the slowest tests, and one line that sums up. What does not need the
 * same things runs side by side, at most two stages at a time.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromiumVersion, installChromium, vulkanEnvironment } from '../testing/chromium.ts';
import {
  failureLines,
  ownReport,
  playwrightReport,
  type Reader,
  type Report,
  slowestLines,
  vitestReport,
} from './reports.ts';
import { runStages, type Stage } from './stages.ts';

interface Run extends Stage {
  command: string[];
  /** of stages that run tests, whose report is in $NIBBLE_REPORT */
  read?: Reader;
}

const REPORTS = mkdtempSync(join(tmpdir(), 'nibble-test-'));
const reportOf = (name: string) => join(REPORTS, `${name}.json`);
const SLOWEST = 20;

/** What all others wait for. */
const FIRST = ['build', 'types', 'lint'];

const vitest = (project: string): Run => ({
  name: project,
  after: FIRST,
  command: [
    ...['vitest', 'run', '--project', project, '--passWithNoTests'],
    ...['--reporter=default', '--reporter=json', `--outputFile.json=${reportOf(project)}`],
  ],
  read: vitestReport,
});

/** A script of this folder, which writes a Report to the file that NIBBLE_REPORT names. */
const script = (name: string): Run => ({
  name,
  after: FIRST,
  command: ['node', 'scripts/run.mjs', name],
  read: ownReport,
});

/** Firefox is spoken to over a WebSocket, which Node 20 has behind a flag. */
const engines = (): Run => ({
  ...script('engines'),
  command: [
    'node',
    ...(typeof WebSocket === 'undefined' ? ['--experimental-websocket'] : []),
    ...['scripts/run.mjs', 'engines'],
  ],
});

/** Stages at a time: more would take the cores from each other. */
const AT_A_TIME = 2;

/** The longest first, so that no long one is left alone at the end. Nothing after `build` may change dist/. */
const STAGES: Run[] = [
  { name: 'build', after: [], command: ['node', 'scripts/run.mjs', 'build'] },
  {
    name: 'types',
    after: [],
    command: ['tsc', '-b', '.', 'scripts/tsconfig.page.json', 'scripts/tsconfig.worker.json'],
  },
  { name: 'lint', after: [], command: ['biome', 'check'] },
  vitest('gpu'),
  { name: 'e2e', after: FIRST, command: ['playwright', 'test'], read: playwrightReport },
  vitest('node'),
  script('commands'),
  script('packaging'),
  engines(),
  vitest('browser'),
];

interface Ended extends Report {
  ok: boolean;
  line: string;
}

/** @returns the exit status; null where it did not start or was killed */
function status(command: string[], env: NodeJS.ProcessEnv, write: (text: string) => void): Promise<number | null> {
  const [program, ...args] = command;
  const local = join('node_modules/.bin', program);
  const child = spawn(existsSync(local) ? local : program, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', write);
  return new Promise((resolve) => {
    child.on('error', (error) => {
      write(`${error.message}\n`);
      resolve(null);
    });
    child.on('close', resolve);
  });
}

async function run(stage: Run, env: NodeJS.ProcessEnv, write: (text: string) => void): Promise<Ended> {
  const started = performance.now();
  const { name, command, read } = stage;
  write(`\n=== ${name}\n`);
  const file = reportOf(name);
  const own = { NIBBLE_REPORT: file, PLAYWRIGHT_JSON_OUTPUT_NAME: file };
  let ok = (await status(command, { ...env, ...own }, write)) === 0;
  let report: Report = { passed: 0, failed: 0, skipped: 0, tests: [], failures: [] };
  if (read) {
    try {
      report = read(file);
    } catch (error) {
      ok = false;
      write(`There is no report of ${name}: ${(error as Error).message}\n`);
    }
  }
  // A stage that failed with no failed test to show for it counts as one.
  if (!ok && report.failed === 0) report.failed = 1;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const tests = read ? `${report.passed} passed, ${report.failed} failed` : '';
  const line = `${name.padEnd(10)}${seconds.padStart(7)} s  ${(ok ? 'ok' : 'FAILED').padEnd(8)}${tests}`.trimEnd();
  write(`=== ${line}\n`);
  return { ...report, ok, line };
}

/** `npm test -- node e2e` runs only those stages. */
export async function main(args: string[]): Promise<number> {
  const unknown = args.find((name) => !STAGES.some((stage) => stage.name === name));
  if (unknown) throw new Error(`No stage is called ${unknown}. There are: ${STAGES.map((s) => s.name).join(', ')}.`);
  const chromium = await installChromium();
  console.log(`Node ${process.version}, ${chromiumVersion(chromium)}`);
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    ...vulkanEnvironment(chromium),
    NIBBLE_CHROMIUM: chromium,
    // what is printed goes through a pipe
    ...(process.stdout.isTTY && !process.env.NO_COLOR ? { FORCE_COLOR: '1' } : {}),
  };
  const started = performance.now();
  const ended = await runStages(
    STAGES.filter(({ name }) => args.length === 0 || args.includes(name)),
    (stage, write) => run(stage, env, write),
    (text) => process.stdout.write(text),
    AT_A_TIME,
  );
  const sum = (key: 'passed' | 'failed' | 'skipped') => ended.reduce((total, each) => total + each[key], 0);
  const slowest = slowestLines(
    ended.flatMap(({ tests }) => tests),
    SLOWEST,
  );
  if (slowest.length > 0) console.log(`\nThe slowest tests:\n${slowest.join('\n')}`);
  const failures = failureLines(ended.flatMap(({ failures }) => failures));
  if (failures.length > 0) console.log(`\nWhat failed:\n${failures.join('\n')}`);
  console.log(`\n${ended.map(({ line }) => line).join('\n')}`);
  console.log(`${'in all'.padEnd(10)}${((performance.now() - started) / 1000).toFixed(1).padStart(7)} s\n`);
  console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
  return sum('failed') === 0 && sum('passed') > 0 ? 0 : 1;
}
