import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { failureLines, ownReport, playwrightReport, slowestLines, vitestReport } from './reports';

const folder = mkdtempSync(join(tmpdir(), 'nibble-reports-'));
afterAll(() => rmSync(folder, { recursive: true }));

function written(content: object): string {
  const file = join(folder, 'report.json');
  writeFileSync(file, JSON.stringify(content));
  return file;
}

it('reads what vitest counts, how long each test took, and why it failed', () => {
  const file = written({
    numPassedTests: 2,
    numFailedTests: 1,
    numPendingTests: 3,
    numTodoTests: 1,
    testResults: [
      {
        name: resolve('src/a.test.ts'),
        message: '',
        assertionResults: [
          { fullName: 'a one', duration: 12.5, failureMessages: ['expected 1 to be 2'] },
          { fullName: 'a skipped', failureMessages: [] },
        ],
      },
      { name: resolve('src/b.test.ts'), message: 'no such file', assertionResults: [] },
    ],
  });
  expect(vitestReport(file)).toEqual({
    passed: 2,
    failed: 1,
    skipped: 4,
    tests: [
      { name: 'src/a.test.ts › a one', ms: 12.5 },
      { name: 'src/a.test.ts › a skipped', ms: 0 },
    ],
    failures: [
      { name: 'src/a.test.ts › a one', message: 'expected 1 to be 2' },
      { name: 'src/b.test.ts', message: 'no such file' },
    ],
  });
});

it('reads what Playwright counts, of suites in suites and tests that were tried again', () => {
  const spec = (title: string, ...results: { duration: number; errors?: object[] }[]) => ({
    title,
    file: 'x.spec.ts',
    line: 7,
    tests: [{ results }],
  });
  const again = spec('two', { duration: 30, errors: [{ message: 'it hung' }] }, { duration: 40, errors: [] });
  const file = written({
    config: { rootDir: resolve('e2e') },
    stats: { expected: 5, unexpected: 1, flaky: 1, skipped: 2 },
    suites: [{ specs: [spec('one', { duration: 100 })], suites: [{ specs: [again] }] }],
  });
  expect(playwrightReport(file)).toEqual({
    passed: 5,
    failed: 2,
    skipped: 2,
    tests: [
      { name: 'e2e/x.spec.ts:7 › one', ms: 100 },
      { name: 'e2e/x.spec.ts:7 › two', ms: 70 },
    ],
    failures: [{ name: 'e2e/x.spec.ts:7 › two', message: 'it hung' }],
  });
});

it('reads what our own scripts write', () => {
  const report = { passed: 1, failed: 0, skipped: 0, tests: [{ name: 'x', ms: 1 }], failures: [] };
  expect(ownReport(written(report))).toEqual(report);
});

it('lists the slowest first, no more than asked for', () => {
  const tests = [5, 61_000, 700].map((ms) => ({ name: `of ${ms}`, ms }));
  expect(slowestLines(tests, 2)).toEqual(['   61.0 s  of 61000', '    0.7 s  of 700']);
});

it('repeats what failed, each with the beginning of its message', () => {
  const long = Array.from({ length: 30 }, (_, i) => `line ${i}`).join('\n');
  const lines = failureLines([
    { name: 'a', message: 'because' },
    { name: 'b', message: long },
  ]);
  expect(lines.slice(0, 4)).toEqual(['  a', '      because', '  b', '      line 0']);
  expect(lines).toHaveLength(11);
});
