/** What the runners of tests say in their JSON reports: how many, and how long each took. */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

export interface TestTime {
  /** file and title */
  name: string;
  ms: number;
}

export interface Failure {
  /** file and title */
  name: string;
  /** what the runner says of it */
  message: string;
}

export interface Report {
  passed: number;
  failed: number;
  skipped: number;
  tests: TestTime[];
  failures: Failure[];
}

/** Reads a runner's report. @throws where it is not the runner's JSON */
export type Reader = (file: string) => Report;

const read = (file: string) => JSON.parse(readFileSync(file, 'utf8'));

interface VitestFile {
  name: string;
  /** what went wrong outside of its tests */
  message?: string;
  assertionResults: { fullName: string; duration?: number | null; failureMessages?: string[] }[];
}

export function vitestReport(file: string): Report {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests = 0, testResults } = read(file);
  const files = (testResults as VitestFile[]).map((each) => ({ ...each, name: relative(process.cwd(), each.name) }));
  return {
    passed: numPassedTests,
    failed: numFailedTests,
    skipped: numPendingTests + numTodoTests,
    tests: files.flatMap(({ name, assertionResults }) =>
      assertionResults.map(({ fullName, duration }) => ({ name: `${name} › ${fullName}`, ms: duration ?? 0 })),
    ),
    failures: files.flatMap(({ name, message, assertionResults }) => [
      ...(message ? [{ name, message }] : []),
      ...assertionResults.flatMap(({ fullName, failureMessages = [] }) =>
        failureMessages.map((message) => ({ name: `${name} › ${fullName}`, message })),
      ),
    ]),
  };
}

interface PlaywrightResult {
  duration: number;
  errors?: { message?: string }[];
}

interface PlaywrightSuite {
  suites?: PlaywrightSuite[];
  specs: { title: string; file: string; line: number; tests: { results: PlaywrightResult[] }[] }[];
}

export function playwrightReport(file: string): Report {
  const { stats, suites, config } = read(file);
  const folder = relative(process.cwd(), config?.rootDir ?? process.cwd());
  const specsOf = ({ suites = [], specs }: PlaywrightSuite): { name: string; results: PlaywrightResult[] }[] => [
    ...specs.map(({ title, file, line, tests }) => ({
      name: `${folder === '' ? '' : `${folder}/`}${file}:${line} › ${title}`,
      results: tests.flatMap(({ results }) => results),
    })),
    ...suites.flatMap(specsOf),
  ];
  const all = (suites as PlaywrightSuite[]).flatMap(specsOf);
  return {
    passed: stats.expected,
    failed: stats.unexpected + stats.flaky,
    skipped: stats.skipped,
    tests: all.map(({ name, results }) => ({ name, ms: results.reduce((sum, { duration }) => sum + duration, 0) })),
    failures: all.flatMap(({ name, results }) =>
      results.flatMap(({ errors = [] }) => errors.map(({ message = '' }) => ({ name, message }))),
    ),
  };
}

/** A report that one of our own scripts has written: a Report as it is. */
export const ownReport: Reader = read;

/** The slowest, a line each, the slowest first. */
export function slowestLines(tests: readonly TestTime[], count: number): string[] {
  const slowest = tests.toSorted((a, b) => b.ms - a.ms).slice(0, count);
  return slowest.map(({ name, ms }) => `${(ms / 1000).toFixed(1).padStart(7)} s  ${name}`);
}

/** lines of one failure that are worth repeating at the end; the stage itself printed the rest */
const MESSAGE_LINES = 8;

/** What failed and why, for the end of a long run, whose beginning a log may have lost. */
export function failureLines(failures: readonly Failure[]): string[] {
  return failures.flatMap(({ name, message }) => [
    `  ${name}`,
    ...message
      .split('\n')
      .slice(0, MESSAGE_LINES)
      .map((line) => `      ${line}`),
  ]);
}
