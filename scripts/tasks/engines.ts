/**
 * `npm test -- engines`: a visitor's journey in three engines (Firefox also in private windows), each where it is
 * installed, as a table. Names of engines try only those: `node --experimental-websocket scripts/run.mjs engines
 * WebKitGTK` (Node 20 needs the flag).
 */
import { writeFileSync } from 'node:fs';
import type { Engine } from './engines/browser.ts';
import { chromium } from './engines/chromium.ts';
import { firefox, privateFirefox } from './engines/firefox.ts';
import { journey, type Step } from './engines/journey.ts';
import { webkit } from './engines/webkit.ts';
import type { Report } from './reports.ts';

const ENGINES: Engine[] = [chromium, firefox, privateFirefox, webkit];

export async function main(names: string[]): Promise<number> {
  const report: Report = { passed: 0, failed: 0, skipped: 0, tests: [], failures: [] };
  const right = new Map<string, number[] | null>();
  const rows = new Map<string, Step[]>();
  for (const engine of ENGINES.filter(({ name }) => names.length === 0 || names.includes(name))) {
    const missing = engine.missing();
    if (missing) {
      console.log(`${engine.name}: not tried, for ${missing}.`);
      report.skipped++;
      continue;
    }
    const { name, steps } = await journey(engine, right, ({ name, problem, ms }) =>
      console.log(`${engine.name}: ${name}: ${problem ?? 'right'} (${(ms / 1000).toFixed(1)} s)`),
    );
    rows.set(name, steps);
    for (const { name: step, problem, ms } of steps) {
      const test = `${engine.name} › ${step}`;
      report.tests.push({ name: test, ms });
      report[problem ? 'failed' : 'passed']++;
      if (problem) report.failures.push({ name: test, message: problem });
    }
  }
  const columns = [...new Set([...rows.values()].flat().map(({ name }) => name))];
  console.log(`\n| engine | ${columns.join(' | ')} |\n|---|${columns.map(() => '---|').join('')}`);
  for (const [name, steps] of rows) {
    const cells = columns.map((column) => {
      const step = steps.find((each) => each.name === column);
      return step ? (step.problem ? 'FAILED' : `${(step.ms / 1000).toFixed(1)} s`) : '';
    });
    console.log(`| ${name} | ${cells.join(' | ')} |`);
  }
  if (process.env.NIBBLE_REPORT) writeFileSync(process.env.NIBBLE_REPORT, JSON.stringify(report));
  return report.failed === 0 ? 0 : 1;
}
