/**
 * Every variant of a kernel on every adapter that is at hand, forced, on two whole fixtures: one of odd sizes, and one
 * whose layers slide and cap. The table in check.md is filled cell by cell, and what it has is not run again. It is
 * `bench/check --matrix`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Gpu, requestGpu } from '../src/gpu/device';
import type { DeviceProfile } from '../src/gpu/device-profile';
import {
  type Candidate,
  candidatesFor,
  isMatmul,
  isProduct,
  TUNED_ROLES,
  withCandidates,
} from '../src/kernels/candidates';
import { type KernelShapes, VARIANTS } from '../src/kernels/variants';

const REPORT = join(import.meta.dirname, 'check.md');
const [OPEN, CLOSE] = ['<!-- matrix -->', '<!-- /matrix -->'];

/** A device that has all that a kernel may ask for. */
const EVERYTHING: DeviceProfile = {
  vendor: '',
  software: false,
  subgroups: { min: 4, max: 128 },
  f16: true,
  intDot: true,
  workgroup: { bytes: 1 << 20, threads: 1024 },
};

/** The kernel that a candidate's shape is of: products of one token have one for all roles. */
const kernelOf = (candidate: Candidate): string =>
  isProduct(candidate) && !isMatmul(candidate) ? 'one token' : (KERNELS[candidate.role] ?? candidate.role);
const KERNELS: Partial<Record<Candidate['role'], string>> = {
  matmul: 'many tokens',
  few: 'few tokens',
  decodeAttention: 'attention, decode',
  prefillAttention: 'attention, prefill',
};

/** Rows of the table, and the candidates that each takes: of all roles that the kernel has. */
function variantsOf(profile: DeviceProfile): Map<string, Candidate[]> {
  const rows = new Map<string, Candidate[]>();
  for (const candidate of candidatesFor({ ...profile, software: false })) {
    const row = `${kernelOf(candidate)}: ${candidate.name}`;
    rows.set(row, [...(rows.get(row) ?? []), candidate]);
  }
  return rows;
}

/** Each product of one token has the same shapes: all of its roles get a row's. */
const forced = (candidates: readonly Candidate[]): KernelShapes => {
  const [first] = candidates;
  const roles = TUNED_ROLES.filter((role) => kernelOf({ ...first, role } as Candidate) === kernelOf(first));
  return withCandidates(
    VARIANTS.small,
    roles.map((role) => ({ ...first, role }) as Candidate),
  );
};

/** What a device lacks for a row. */
function lacking(candidates: readonly Candidate[], { subgroups, f16 }: DeviceProfile): string {
  const text = JSON.stringify(candidates[0].shape);
  if (!f16 && text.includes('"f16":true')) return 'no f16';
  if (!subgroups && text.includes('"subgroups":true')) return 'no subgroups';
  return 'too little workgroup memory';
}

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

/** The largest difference of a fixture's logits in units of their scale, and whether its ids are equal. */
export type Compare = (gpu: Gpu, shapes: KernelShapes, fixture: string) => Promise<{ worst: number; equal: boolean }>;

/**
 * Fills the columns of this process's adapter.
 * @param only rows whose name has this text
 * @param most cells that are run, of all adapters
 * @returns the number of cells that are wrong
 */
export async function checkMatrix(
  instance: GPU | null,
  compare: Compare,
  fixtures: readonly string[],
  only: string,
  most: number,
): Promise<number> {
  const cells = readTable();
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
    for (const [row, candidates] of rows) {
      const of = cells.get(row) ?? new Map<string, string>();
      cells.set(row, of);
      if (of.get(column) || !row.includes(only)) continue;
      let cell = lacking(candidates, gpu.profile);
      if (able.has(row)) {
        if (count++ >= most) continue;
        const results = [];
        for (const fixture of fixtures) results.push(await compare(gpu, forced(candidates), fixture));
        const good = results.every(({ worst, equal }) => equal && worst < 1e-3);
        if (!good) wrong++;
        cell = `${Math.max(...results.map(({ worst }) => worst)).toExponential(1)}${good ? '' : ' WRONG'}, ${new Date().toISOString().slice(0, 10)}`;
      }
      of.set(column, cell);
      console.log(`${row} on ${column}: ${cell}`);
      writeTable(cells, [...rows.keys()]);
    }
  }
  return wrong;
}
