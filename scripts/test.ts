/** `npm test`: everything, in order, with each stage's time, and one line that sums up the tests. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromiumVersion, installChromium, vulkanEnvironment } from './chromium.ts';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

interface Stage {
  name: string;
  command: string[];
  /** where the runner writes its JSON report, for stages that run tests */
  count?: (report: string) => Counts;
}

const REPORTS = mkdtempSync(join(tmpdir(), 'nibble-test-'));
const reportOf = (name: string) => join(REPORTS, `${name}.json`);

function vitestCounts(file: string): Counts {
  const report = JSON.parse(readFileSync(file, 'utf8'));
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests,
    skipped: report.numPendingTests + (report.numTodoTests ?? 0),
  };
}

function playwrightCounts(file: string): Counts {
  const { stats } = JSON.parse(readFileSync(file, 'utf8'));
  return { passed: stats.expected, failed: stats.unexpected + stats.flaky, skipped: stats.skipped };
}

const vitest = (project: string): Stage => ({
  name: project,
  command: [
    ...['vitest', 'run', '--project', project, '--passWithNoTests'],
    ...['--reporter=default', '--reporter=json', `--outputFile.json=${reportOf(project)}`],
  ],
  count: vitestCounts,
});

const STAGES: Stage[] = [
  { name: 'types', command: ['tsc', '-p', '.'] },
  { name: 'lint', command: ['biome', 'check'] },
  { name: 'build', command: ['node', 'scripts/run.mjs', 'build'] },
  vitest('node'),
  vitest('gpu'),
  vitest('browser'),
  { name: 'e2e', command: ['playwright', 'test'], count: playwrightCounts },
  { name: 'packaging', command: ['node', 'scripts/run.mjs', 'packaging'] },
];

function run(stage: Stage, env: NodeJS.ProcessEnv): Counts & { ok: boolean } {
  const [program, ...args] = stage.command;
  const local = join('node_modules/.bin', program);
  const { status } = spawnSync(existsSync(local) ? local : program, args, { stdio: 'inherit', env });
  const ok = status === 0;
  if (!stage.count) return { ok, passed: 0, failed: 0, skipped: 0 };
  const report = reportOf(stage.name);
  if (!existsSync(report)) return { ok, passed: 0, failed: 0, skipped: 0 };
  return { ok, ...stage.count(report) };
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
    PLAYWRIGHT_JSON_OUTPUT_NAME: reportOf('e2e'),
  };
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  const lines: string[] = [];
  for (const stage of STAGES.filter((stage) => args.length === 0 || args.includes(stage.name))) {
    console.log(`\n=== ${stage.name}`);
    const started = performance.now();
    const counts = run(stage, env);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    // A stage that failed with no failed test to show for it counts as one.
    if (!counts.ok && counts.failed === 0) counts.failed = 1;
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
    const tests = stage.count ? `${counts.passed} passed, ${counts.failed} failed` : '';
    lines.push(`${stage.name.padEnd(10)}${seconds.padStart(7)} s  ${(counts.ok ? 'ok' : 'FAILED').padEnd(8)}${tests}`);
    console.log(`=== ${lines.at(-1)}`);
  }
  console.log(`\n${lines.join('\n')}\n`);
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}
