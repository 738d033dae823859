/**
 * Every variant of a kernel on every adapter that is at hand, forced, on two whole fixtures: one of odd sizes, and one
 * whose layers slide and cap. The table in check.md is filled cell by cell, and what it has is not run again. It is
 * `bench/check --matrix`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { requestGpu } from '../src/gpu/device';
import { checkVariant, EVERYTHING, lacking, variantsOf } from './check-variants';

const REPORT = join(import.meta.dirname, 'check.md');
const [OPEN, CLOSE] = ['<!-- matrix -->', '<!-- /matrix -->'];

type Cells = Map<string, Map<string, string>>;

/** What the table has: cells by row and column. */
function readTable(): Cells {
  const text = readFileSync(REPORT, 'utf8');
  const lines = text
    .slice(text.indexOf(OPEN), text.indexOf(CLOSE))
    .split('\n')
    .filter((line) => line.startsWith('|'));
  const cut = (line: string) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
  const [head = [], , ...rows] = lines.map(cut);
  return new Map(rows.map(([row, ...cells]) => [row, new Map(cells.map((cell, i) => [head[i + 1], cell]))]));
}

function writeTable(cells: Cells, rows: readonly string[]): void {
  const columns = [...new Set([...cells.values()].flatMap((of) => [...of.keys()]))];
  const line = (all: readonly string[]) => `| ${all.join(' | ')} |`;
  const table = [
    line(['variant', ...columns]),
    line(['---', ...columns.map(() => '---')]),
    ...rows.map((row) => line([row, ...columns.map((column) => cells.get(row)?.get(column) ?? '')])),
  ].join('\n');
  const text = readFileSync(REPORT, 'utf8');
  const [from, to] = [text.indexOf(OPEN), text.indexOf(CLOSE)];
  if (from < 0) throw new Error(`${REPORT} has no ${OPEN} … ${CLOSE} to write between.`);
  writeFileSync(REPORT, `${text.slice(0, from + OPEN.length)}\n\n${table}\n\n${text.slice(to)}`);
}

/**
 * Fills the columns of this process's adapter.
 * @param only rows whose name has this text
 * @param most cells that are run, of all adapters
 * @param dry the table is neither read nor written
 * @returns the number of cells that are wrong
 */
export async function checkMatrix(instance: GPU | null, only: string, most: number, dry: boolean): Promise<number> {
  const cells: Cells = dry ? new Map() : readTable();
  const rows = variantsOf(EVERYTHING);
  let wrong = 0;
  let count = 0;
  for (const options of [
    { limits: 'adapter', features: 'all' },
    { limits: 'default', features: 'none' },
  ] as const) {
    const gpu = await requestGpu(instance, options);
    const { device, description, architecture } = gpu.adapter;
    const name = /swiftshader/i.test(`${device} ${architecture}`) ? 'SwiftShader' : device || description;
    const { subgroups } = gpu.profile;
    const column =
      options.features === 'none'
        ? `${name}, no features, default limits`
        : `${name}, subgroups of ${subgroups?.max}${gpu.profile.f16 ? ', f16' : ''}`;
    // one adapter without features is enough
    if (options.features === 'none' && gpu.profile.software && name !== 'SwiftShader') continue;
    const able = variantsOf(gpu.profile);
    // subgroup matrices of sizes that only this device has
    for (const [row, candidates] of able) rows.set(row, candidates);
    for (const [row, candidates] of rows) {
      const of = cells.get(row) ?? new Map<string, string>();
      cells.set(row, of);
      if (of.get(column) || !row.includes(only)) continue;
      let cell = lacking(candidates, gpu.profile);
      if (able.has(row)) {
        if (count++ >= most) continue;
        const { worst, good } = await checkVariant(gpu, candidates);
        if (!good) wrong++;
        cell = `${worst.toExponential(1)}${good ? '' : ' WRONG'}, ${new Date().toISOString().slice(0, 10)}`;
      }
      of.set(column, cell);
      console.log(`${row} on ${column}: ${cell}`);
      if (!dry) writeTable(cells, [...rows.keys()]);
    }
  }
  console.log(`${Math.min(count, most)} cells run, ${wrong} wrong`);
  return wrong;
}
