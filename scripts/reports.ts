/** What the runners of tests say in their JSON reports: how many, and how long each took. */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

export interface TestTime {
  /** file and title */
  name: string;
  ms: number;
}

export interface Report {
  passed: number;
  failed: number;
  skipped: number;
  tests: TestTime[];
}

/** Reads a runner's report. @throws where it is not the runner's JSON */
export type Reader = (file: string) => Report;

const read = (file: string) => JSON.parse(readFileSync(file, 'utf8'));

interface VitestFile {
  name: string;
  assertionResults: { fullName: string; duration?: number | null }[];
}

export function vitestReport(file: string): Report {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests = 0, testResults } = read(file);
  return {
    passed: numPassedTests,
    failed: numFailedTests,
    skipped: numPendingTests + numTodoTests,
    tests: (testResults as VitestFile[]).flatMap(({ name, assertionResults }) =>
      assertionResults.map(({ fullName, duration }) => ({
        name: `${relative(process.cwd(), name)} › ${fullName}`,
        ms: duration ?? 0,
      })),
    ),
  };
}

interface PlaywrightSuite {
  suites?: PlaywrightSuite[];
  specs: { title: string; file: string; line: number; tests: { results: { duration: number }[] }[] }[];
}

export function playwrightReport(file: string): Report {
  const { stats, suites, config } = read(file);
  const folder = relative(process.cwd(), config?.rootDir ?? process.cwd());
  const timesOf = ({ suites = [], specs }: PlaywrightSuite): TestTime[] => [
    ...specs.map(({ title, file, line, tests }) => ({
      name: `${folder === '' ? '' : `${folder}/`}${file}:${line} › ${title}`,
      ms: tests.flatMap(({ results }) => results).reduce((sum, { duration }) => sum + duration, 0),
    })),
    ...suites.flatMap(timesOf),
  ];
  return {
    passed: stats.expected,
    failed: stats.unexpected + stats.flaky,
    skipped: stats.skipped,
    tests: (suites as PlaywrightSuite[]).flatMap(timesOf),
  };
}

/** A report that one of our own scripts has written: a Report as it is. */
export const ownReport: Reader = read;

/** The slowest, a line each, the slowest first. */
export function slowestLines(tests: readonly TestTime[], count: number): string[] {
  const slowest = tests.toSorted((a, b) => b.ms - a.ms).slice(0, count);
  return slowest.map(({ name, ms }) => `${(ms / 1000).toFixed(1).padStart(7)} s  ${name}`);
}
