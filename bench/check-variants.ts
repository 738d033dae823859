/**
 * Whole fixtures on a GPU with given shapes, beside transformers' logits and greedy ids; and every variant of a kernel,
 * forced in a model whose other kernels are the `small` ones.
 */
import {
  type Expected,
  expected,
  GREEDY,
  INT8_TOLERANCE,
  largestDifference,
  type Maker,
  openFixture,
  request,
  sureSteps,
  TOLERANCE,
  take,
} from '../src/execute/cpu/test/models';
import { createGpuExecutor } from '../src/execute/gpu/executor';
import { type OneCache, withOneCache } from '../src/execute/test/one-cache';
import type { Gpu } from '../src/gpu/device';
import type { DeviceProfile } from '../src/gpu/device-profile';
import {
  type Candidate,
  candidatesFor,
  isMatmul,
  isProduct,
  TUNED_ROLES,
  withCandidates,
} from '../src/kernels/candidates';
import { isInt8 } from '../src/kernels/matmul';
import { type KernelShapes, VARIANTS } from '../src/kernels/variants';
import type { WeightsOption } from '../src/memory/formats';
import type { KvType } from '../src/memory/kv';
import { planMemory } from '../src/memory/plan';

/** A fixture with what is right. */
export interface FixtureCase {
  path: string;
  weights: WeightsOption;
  adapters: readonly string[];
  facts(): Expected;
}

/** With what it is computed. */
export interface Setting {
  gpu: Gpu;
  variant: string;
  shapes: KernelShapes;
  kvType: KvType;
}

/** The largest difference in units of the scale, and whether all ids that are sure are equal. */
export async function compare({
  gpu,
  variant,
  shapes,
  kvType,
  path,
  weights,
  adapters,
  facts,
}: FixtureCase & Setting): Promise<{ worst: number; equal: boolean }> {
  const maker: Maker = {
    target: 'webgpu',
    limits: gpu.limits,
    make: async (model, plan) => withOneCache(await createGpuExecutor(gpu, model, plan, { variant, shapes })),
  };
  const { logitScale, prompts } = facts();
  const int8 = isInt8(shapes.matmul);
  const { executor, model } = await openFixture(path, { kvType, int8 }, weights, maker);
  if (adapters.length > 0) {
    // it reads what fixtures there are
    const { active } = await import('../src/lora/test/adapters');
    await executor.setAdapters(await active(model.steps, adapters));
  }
  let worst = 0;
  let equal = true;
  for (const { ids, positions, logits, greedy, margins } of prompts) {
    const size = request({ kvType, promptTokens: ids.length, maxNewTokens: greedy.length });
    await executor.reserve(planMemory(model, size, gpu.limits, 'webgpu'));
    await executor.prefill(ids, 0);
    const right = logits[positions.indexOf(ids.length - 1)];
    worst = Math.max(worst, largestDifference(await executor.logits(), right) / logitScale);
    const tolerance = int8 ? INT8_TOLERANCE : TOLERANCE[kvType];
    equal &&= await sameIds(executor, ids.length, greedy, margins, 2 * tolerance * logitScale);
  }
  executor.dispose();
  return { worst, equal };
}

async function sameIds(executor: OneCache, start: number, greedy: number[], margins: number[], least: number) {
  const made = await take(executor.decode(start, greedy.length, GREEDY));
  const sure = sureSteps(margins, least);
  return made.slice(0, sure).join() === greedy.slice(0, sure).join();
}

/** Of odd sizes, and with layers that slide and cap. */
export const FIXTURES: readonly string[] = ['tiny-llama-odd/nf4', 'families/gemma2/nf4'];

/** A device that has all that a kernel may ask for. */
export const EVERYTHING: DeviceProfile = {
  vendor: '',
  software: false,
  subgroups: { min: 4, max: 128 },
  matrices: { m: 16, n: 16, k: 16, f16: true, lanes: 32, smaller: null },
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
export function variantsOf(profile: DeviceProfile): Map<string, Candidate[]> {
  const rows = new Map<string, Candidate[]>();
  const real = { ...profile, software: false };
  const asked = candidatesFor(real, { activations: 'int8' }).filter((one) => isMatmul(one) && isInt8(one.shape));
  for (const candidate of [...candidatesFor(real), ...asked]) {
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
export function lacking(candidates: readonly Candidate[], { subgroups, f16, intDot, matrices }: DeviceProfile): string {
  const text = JSON.stringify(candidates[0].shape);
  if (candidates[0].name.startsWith('subgroup matrices')) {
    if (!matrices) return 'no subgroup matrices';
    const { m, n, k } = matrices;
    if (!candidates[0].name.includes(`of ${m}x${n}x${k},`)) return 'subgroup matrices of other sizes';
  }
  if (!intDot && text.includes('"int8":true')) return 'no integer dot products';
  if (!f16 && text.includes('"f16":true')) return 'no f16';
  if (!subgroups && text.includes('"subgroups":true')) return 'no subgroups';
  return 'too little workgroup memory';
}

/** A variant's fixtures, with an f32 cache. */
export async function checkVariant(
  gpu: Gpu,
  candidates: readonly Candidate[],
  fixtures = FIXTURES,
): Promise<{ worst: number; good: boolean }> {
  let [worst, good] = [0, true];
  for (const path of fixtures) {
    const fixture: FixtureCase = { path, weights: 'keep', adapters: [], facts: () => expected(path) };
    const shapes = forced(candidates);
    const tolerance = isInt8(shapes.matmul) ? INT8_TOLERANCE : TOLERANCE.f16;
    const found = await compare({ ...fixture, gpu, variant: 'forced', shapes, kvType: 'f32' });
    worst = Math.max(worst, found.worst);
    good &&= found.equal && found.worst < tolerance;
  }
  return { worst, good };
}

/** Every variant that a device can run, `most` of them, until it is late. */
export async function checkVariants(gpu: Gpu, most: number, isLate: () => boolean, fixtures = FIXTURES) {
  const checked: { variant: string; worst: number; good: boolean }[] = [];
  for (const [variant, candidates] of [...variantsOf(gpu.profile)].slice(0, most)) {
    if (isLate()) break;
    checked.push({ variant, ...(await checkVariant(gpu, candidates, fixtures)) });
  }
  return checked;
}
