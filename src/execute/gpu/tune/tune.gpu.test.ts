/** The tuner on SwiftShader: what it chooses, and that no kernel that is wrong gets to answer. */
import { afterEach, describe, expect, it } from 'vitest';
import { LINEAR_CODEBOOK, type MatrixFormat, NF4_CODEBOOK } from '../../../formats/matrix';
import type { Gpu } from '../../../gpu/device';
import type { DeviceProfile } from '../../../gpu/device-profile';
import { Pipelines } from '../../../gpu/pipelines';
import type { SubgroupMatrices } from '../../../gpu/subgroup-matrices';
import { ownGpu, testGpu } from '../../../gpu/test-device';
import { type Candidate, candidatesFor, isProduct, PRODUCT_ROLES, withCandidates } from '../../../kernels/candidates';
import { type MatmulShape, matmulName } from '../../../kernels/matmul';
import { matricesShape } from '../../../kernels/matmul-matrices';
import { type MatvecShape, matvecName } from '../../../kernels/matvec';
import { emulatedProfile, withEmulatedMatrices } from '../../../kernels/test/emulated-matrices';
import { K_QUANTS } from '../../../kernels/test/k-quants';
import { MATMULS, VARIANTS } from '../../../kernels/variants';
import { READBACK, TUNE_BETWEEN, TUNE_IN, TUNE_OUT } from '../../../memory/gpu-scratch';
import type { KvType } from '../../../memory/kv';
import { type MemoryPlan, type ModelGraph, planMemory } from '../../../memory/plan';
import { graphOf, request } from '../../cpu/test/models';
import { compareWithTransformers } from '../../cpu/test/transformers';
import { type OneCache, withOneCache } from '../../test/one-cache';
import { PlanBuffers } from '../buffers';
import { createGpuExecutor, type GpuExecutor } from '../executor';
import { tiny } from '../test/maker';
import type { TuneContext } from './context';
import { type TuneRequest, tune, variantName } from './tune';

const FIXTURE = 'tiny-llama-odd/nf4';

const open: OneCache[] = [];
afterEach(() => {
  for (const executor of open.splice(0)) executor.dispose();
});

const SUBGROUPS: MatvecShape = { lanes: 4, slices: 8, tile: 1, table: 'workgroup', subgroups: true };
const STAGED: MatvecShape = { lanes: 2, slices: 16, tile: 2, table: 'workgroup', subgroups: true, staged: true };
const PLAIN: MatvecShape = { lanes: 8, slices: 4, tile: 2, table: 'workgroup' };
const REGISTERS: MatmulShape = { kind: 'registers', lanes: 16, tile: 2, tokens: 3, table: 'workgroup' };

/** The roles of products, but for those of few tokens: where a model's shapes have none, there is no such role. */
const ROLES = PRODUCT_ROLES.filter((role) => role !== 'few');

/** Candidates of these shapes for every role, in this order. */
const candidates = (matvecs: readonly MatvecShape[], matmuls: readonly MatmulShape[] = [REGISTERS]): Candidate[] =>
  ROLES.flatMap((role): Candidate[] =>
    role === 'matmul'
      ? matmuls.map((shape) => ({ role, shape, name: matmulName(shape) }))
      : matvecs.map((shape) => ({ role, shape, name: matvecName(shape) })),
  );

const ask = (more: Partial<TuneRequest>): TuneRequest => ({
  candidates: candidates([PLAIN]),
  known: {},
  rejected: {},
  limit: Number.POSITIVE_INFINITY,
  signal: new AbortController().signal,
  ...more,
});

/** Opens the fixture on a GPU, tunes it, and has it compute with what was chosen. */
async function tuned(gpu: Gpu, more: Partial<TuneRequest>) {
  let result: Awaited<ReturnType<typeof tune>> | undefined;
  const maker = {
    target: 'webgpu' as const,
    limits: gpu.limits,
    async make(model: ModelGraph, plan: MemoryPlan) {
      const made: GpuExecutor = await createGpuExecutor(gpu, model, plan, { variant: 'small', shapes: VARIANTS.small });
      result = await tune(made.tuneContext(), ask(more));
      await made.useShapes({ variant: 'tuned', shapes: withCandidates(VARIANTS.small, result.chosen) });
      const executor = withOneCache(made);
      open.push(executor);
      return executor;
    },
  };
  await compareWithTransformers(FIXTURE, 'keep', 'f32', maker);
  return result as NonNullable<typeof result>;
}

describe('the tuner', () => {
  it('takes the fastest of those that are right, each timed on the model’s own products, and the answer is right', async () => {
    const tried: string[] = [];
    const result = await tuned(await testGpu(), {
      candidates: candidates([PLAIN, SUBGROUPS]),
      onTry: async (name) => void tried.push(name),
    });
    expect(result).toMatchObject({ how: 'timed', rejected: {} });
    expect(result.chosen.map(({ role }) => role)).toEqual(ROLES);
    for (const { role, name } of result.chosen) {
      expect(result.choice[role]).toEqual({ name, ms: expect.any(Number) });
      expect(result.choice[role]!.ms).toBeGreaterThan(0);
    }
    expect(new Set(tried)).toEqual(new Set(['', ...candidates([PLAIN, SUBGROUPS]).map(variantName)]));
  });

  it('takes what is known, checks it without a word, and times what has become slower', async () => {
    const gpu = await testGpu();
    const known = Object.fromEntries(
      ROLES.map((role) => [role, { name: role === 'matmul' ? matmulName(REGISTERS) : matvecName(SUBGROUPS), ms: 1e6 }]),
    );
    const tried: string[] = [];
    const onTry = async (name: string) => void tried.push(name);
    const same = await tuned(gpu, { candidates: candidates([PLAIN, SUBGROUPS]), known, onTry });
    expect([same.how, same.choice, tried.filter(Boolean)]).toEqual(['stored', known, []]);
    const slower = { ...known, mlp: { name: matvecName(SUBGROUPS), ms: 1e-9 } };
    const anew = await tuned(gpu, { candidates: candidates([PLAIN, SUBGROUPS]), known: slower, onTry });
    expect(anew.how).toBe('timed');
    expect(tried.filter(Boolean)).toEqual([`mlp ${matvecName(PLAIN)}`]);
    expect(anew.choice.mlp!.ms).toBeGreaterThan(1e-9);
  });

  it('checks, and times nothing, when it is told to stop', async () => {
    const stopped = AbortSignal.abort();
    const result = await tuned(await testGpu(), { candidates: candidates([PLAIN, SUBGROUPS]), signal: stopped });
    expect(result.how).toBe('timed in part');
    expect(result.choice.mlp).toEqual({ name: matvecName(PLAIN) });
  });

  it('does not try what was rejected before, and says that nothing is left', async () => {
    const rejected = Object.fromEntries(ROLES.map((role) => [`${role} ${matvecName(PLAIN)}`, 'nonsense']));
    const tried: string[] = [];
    const request = { rejected, onTry: async (name: string) => void tried.push(name) };
    const result = await tuned(await testGpu(), { ...request, candidates: candidates([PLAIN, SUBGROUPS]) });
    expect(result.choice.mlp!.name).toBe(matvecName(SUBGROUPS));
    expect(tried.filter((name) => name.endsWith(matvecName(PLAIN)))).toEqual([]);
    await expect(tuned(await testGpu(), request)).rejects.toMatchObject({
      code: 'webgpu-unavailable',
      details: { role: 'gateUp', variants: [`gateUp ${matvecName(PLAIN)}`] },
    });
  });
});

/** What a kernel is broken by, in its code, where that is a variant's. */
const BREAKS: [string, (code: string) => string][] = [
  ['its last row is missing', (code) => code.replace(/if \(row >= (\d+)u\)/, 'if (row + 1u >= $1u)')],
  ['its last columns are missing', (code) => code.replace(/chunk < (\d+)(u?);/, 'chunk + 2$2 < $1$2;')],
  [
    'only its first subgroup counts',
    (code) => code.replace(/(if \(thread % share_threads < \d+u)/, '$1 && thread < share_threads'),
  ],
  ['it does not compile', (code) => `${code}\nfn nothing( {`],
];

const usesSubgroups = (code: string) => code.includes('enable subgroups');

/** A device on which the kernels that `isMeant` of are broken, and how many were. */
async function brokenGpu(isMeant: (code: string) => boolean, broken: (code: string) => string) {
  const gpu = await ownGpu();
  const own = gpu.device.createShaderModule.bind(gpu.device);
  const codes: string[] = [];
  gpu.device.createShaderModule = (descriptor) => {
    const code = isMeant(descriptor.code) ? broken(descriptor.code) : descriptor.code;
    if (code !== descriptor.code) codes.push(code);
    return own({ ...descriptor, code });
  };
  return { gpu, codes };
}

const NF4: MatrixFormat = { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK };

/** What the tuner needs to check shapes, and no model beside it. */
async function checked(gpu: Gpu, more: Partial<TuneRequest>, kv: KvType = 'f32', format = NF4) {
  const spec = tiny();
  const model = graphOf(spec, format);
  const plan = planMemory(model, request({ int8: true }), gpu.limits, 'webgpu');
  const buffers = new PlanBuffers(gpu.device);
  const wanted = [TUNE_IN, TUNE_OUT, TUNE_BETWEEN, READBACK];
  buffers.adopt(await buffers.allocate(plan.buffers.filter(({ name }) => wanted.includes(name))));
  const lowering = { model, matrices: plan.matrices, kv };
  const pipelines = Pipelines.of(gpu.device);
  const context = { gpu, pipelines, buffer: buffers.get, lowering } as unknown as TuneContext;
  try {
    return await tune(context, ask({ limit: 0, ...more }));
  } finally {
    buffers.dispose();
  }
}

describe.each(BREAKS)('a variant of which %s is caught, and the next best one taken', (what, broken) => {
  it.each([
    ['subgroups', SUBGROUPS],
    ['staged', STAGED],
  ])('%s', async (_, shape) => {
    const { gpu, codes } = await brokenGpu(usesSubgroups, broken);
    const result = await checked(gpu, { candidates: candidates([shape, PLAIN]) });
    expect(codes.length).toBeGreaterThan(0);
    const products = ROLES.filter((role) => role !== 'matmul');
    expect(Object.keys(result.rejected)).toEqual(products.map((role) => `${role} ${matvecName(shape)}`));
    for (const role of products) expect(result.choice[role]!.name).toBe(matvecName(PLAIN));
    gpu.device.destroy();
  });
  it.skipIf(what.includes('subgroup'))('without subgroups, and in products of many tokens', async () => {
    const isFirst = (code: string) => !usesSubgroups(code) && !code.includes('fn swizzle');
    const { gpu, codes } = await brokenGpu(isFirst, broken);
    const [tiled] = MATMULS;
    const result = await checked(gpu, { candidates: candidates([PLAIN, SUBGROUPS], [REGISTERS, tiled]) });
    expect(codes.length).toBeGreaterThan(0);
    expect(Object.keys(result.rejected)).toEqual(candidates([PLAIN]).map(variantName));
    expect(result.choice).toMatchObject({ mlp: { name: matvecName(SUBGROUPS) }, matmul: { name: matmulName(tiled) } });
    gpu.device.destroy();
  });
});

describe('products by subgroup matrices, emulated', () => {
  const of = { m: 8, n: 8, k: 8, f16: false };
  const shapeFor = ({ profile }: Gpu) =>
    matricesShape({ tile: [64, 32], grid: [2, 2], step: 16, of: profile.matrices as SubgroupMatrices, smaller: false });
  const name = 'subgroup matrices 64x32 of 8x8x8, 16 columns';

  it('answer as transformers does, in a whole model', async () => {
    const gpu = withEmulatedMatrices(await ownGpu(), of);
    const result = await tuned(gpu, { candidates: candidates([PLAIN], [shapeFor(gpu)]) });
    expect(result.choice.matmul).toEqual({ name, ms: expect.any(Number) });
    gpu.device.destroy();
  });

  it.each<[string, (code: string) => string]>([
    ['its subgroups are fewer than it counts on', (code) => code.replace(/block < 4u/g, 'block < 3u')],
    ['it adds nothing up', (code) => code.replace(/(sum\w+) = (subgroupMatrix\w+)\((.*), sum\w+\);/g, '$1 = Sums();')],
    ['it takes rows for columns', (code) => code.replace(/% 8u;/g, '/ 8u;')],
    ['it does not compile', (code) => `${code}\nfn nothing( {`],
  ])('where %s, that is caught, and the next best one taken', async (_, broken) => {
    const codes: string[] = [];
    const gpu = withEmulatedMatrices(await ownGpu(), of, (code) => {
      codes.push(code);
      expect(broken(code)).not.toBe(code);
      return broken(code);
    });
    const result = await checked(gpu, { candidates: candidates([PLAIN], [shapeFor(gpu), REGISTERS]) });
    expect(codes.length).toBeGreaterThan(0);
    expect(result.rejected).toEqual({ [`matmul ${name}`]: expect.any(String) });
    expect(result.choice.matmul!.name).toBe(matmulName(REGISTERS));
    gpu.device.destroy();
  });

  it('that a device says it has, and has not, are rejected with what it says', async () => {
    const own = await testGpu();
    const gpu = { ...own, profile: emulatedProfile(own.profile, of) };
    const result = await checked(gpu, { candidates: candidates([PLAIN], [shapeFor(gpu), REGISTERS]) });
    expect(result.rejected).toEqual({ [`matmul ${name}`]: expect.stringContaining('subgroup_matrix') });
    expect(result.choice.matmul!.name).toBe(matmulName(REGISTERS));
  });
});

describe('attention', () => {
  /** What a real GPU gets, then what is there for when that is wrong. */
  const all = (profile: DeviceProfile) =>
    candidatesFor({ ...profile, software: false }).filter((one) => !isProduct(one));
  const names = (profile: DeviceProfile, role: string) =>
    all(profile).flatMap((one) => (one.role === role ? [variantName(one)] : []));

  it.each<KvType>(['f32', 'f16', 'int8'])('each shape is right, with a cache of %s', async (kv) => {
    const { profile } = await testGpu();
    for (const candidate of all(profile)) {
      const result = await checked(await testGpu(), { candidates: [candidate] }, kv);
      expect([result.chosen, result.rejected]).toEqual([[candidate], {}]);
    }
  });

  it.each<[string, string, (code: string) => string, number]>([
    [
      'whose second half of threads is missing',
      'decodeAttention',
      (code) => code.replace('@workgroup_size(128)', '@workgroup_size(64)'),
      2,
    ],
    [
      'that leaves out the newest slot',
      'decodeAttention',
      (code) => code.replace('min(filled, first + size)', 'min(filled - 1u, first + size)'),
      3,
    ],
    [
      'whose subgroups are broken',
      'decodeAttention',
      (code) => code.replace(/subgroupShuffleXor\(/, '0.5 * subgroupShuffleXor('),
      1,
    ],
    [
      'whose threads are half',
      'prefillAttention',
      (code) => code.replace('@workgroup_size(128)', '@workgroup_size(64)'),
      1,
    ],
  ])('a kernel %s (%s) is caught', async (_, role, broken, wrong) => {
    const { gpu, codes } = await brokenGpu(() => true, broken);
    const candidates = all(gpu.profile).filter((one) => one.role === role);
    const expected = names(gpu.profile, role).slice(0, wrong);
    if (wrong === candidates.length)
      await expect(checked(gpu, { candidates })).rejects.toMatchObject({ details: { variants: expected } });
    else expect(Object.keys((await checked(gpu, { candidates })).rejected)).toEqual(expected);
    expect(codes.length).toBeGreaterThan(0);
    gpu.device.destroy();
  });
});

describe('products of int8', () => {
  const all = candidates([], [VARIANTS.small.int8, REGISTERS]);
  const named = (shape: MatmulShape) => `matmul ${matmulName(shape)}`;

  it.each<[string, MatrixFormat]>([
    ['NF4', NF4],
    ['Q4_0', { type: 'q4', block: 32, offset: false, codebook: LINEAR_CODEBOOK.map((code) => code - 8) }],
    ['Q4_K', K_QUANTS.Q4_K],
    ['Q5_K', K_QUANTS.Q5_K],
    ['Q6_K', K_QUANTS.Q6_K],
    ['int8 by row', { type: 'q8', block: 'row', offset: false }],
  ])('are right with weights of %s', async (_, format) => {
    const { rejected, choice } = await checked(await testGpu(), { candidates: all }, 'f32', format);
    expect([rejected, choice.matmul]).toEqual([{}, { name: matmulName(VARIANTS.small.int8) }]);
  });

  it.each<[string, (code: string) => string]>([
    ['its last row is missing', BREAKS[0][1]],
    ['four columns of a word are missing', (code) => code.replace('dot4I8Packed(w.w, v.w)', '0')],
    ['units are those of the chunk before', (code) => code.replace(/units\[from_buffer/g, 'units[to_buffer')],
    ['the last columns are not rounded', (code) => code.replace(/chunk >= (\d+)u \|\|/, 'chunk + 1u >= $1u ||')],
    ['it does not compile', (code) => `${code}\nfn nothing( {`],
  ])('of which %s are caught, and exact ones taken', async (_, broken) => {
    const { gpu, codes } = await brokenGpu((code) => code.includes('dot4I8Packed'), broken);
    const { rejected, choice } = await checked(gpu, { candidates: all });
    expect(codes.length).toBeGreaterThan(0);
    expect(Object.keys(rejected)).toEqual([named(VARIANTS.small.int8)]);
    expect(choice.matmul).toEqual({ name: matmulName(REGISTERS) });
    gpu.device.destroy();
  });
});

describe('an adapter that lies about its subgroups', () => {
  /** A device that says so, with shapes that use them, and attention's others. */
  async function lying(size: number) {
    const gpu = await testGpu();
    expect(gpu.profile.subgroups).toEqual({ min: 4, max: 4 });
    const profile = { ...gpu.profile, subgroups: { min: size, max: size } };
    const attention = candidatesFor({ ...profile, software: false }).filter(({ role }) => role === 'decodeAttention');
    return { gpu: { ...gpu, profile }, attention, candidates: [...attention, ...candidates([STAGED])] };
  }

  it('larger than they are: attention that counts on it is not used, and the answer is right', async () => {
    const { gpu, attention, candidates } = await lying(64);
    const { rejected, choice } = await tuned(gpu, { candidates, limit: 0 });
    expect(Object.keys(rejected)).toEqual([variantName(attention[0])]);
    expect(choice.decodeAttention!.name).toBe(attention[1].name);
    // products ask the subgroup itself
    expect(choice.mlp!.name).toBe(matvecName(STAGED));
  });

  it('smaller than they are: all is right', async () => {
    const { gpu, attention, candidates } = await lying(1);
    const { rejected, choice } = await tuned(gpu, { candidates, limit: 0 });
    expect(rejected).toEqual({});
    expect(choice.decodeAttention!.name).toBe(attention[0].name);
  });
});

it('with a variant that is broken, the answer is right by another', async () => {
  const { gpu, codes } = await brokenGpu(usesSubgroups, BREAKS[2][1]);
  const result = await tuned(gpu, { candidates: candidates([SUBGROUPS, PLAIN]), limit: 0 });
  expect(codes.length).toBeGreaterThan(0);
  expect(Object.keys(result.rejected)).toHaveLength(ROLES.length - 1);
  gpu.device.destroy();
});

it('the profile’s own shapes are right here, and so are those that are left without them', async () => {
  const gpu = await testGpu();
  const own = candidatesFor(gpu.profile);
  const result = await checked(gpu, { candidates: own });
  expect(result).toMatchObject({ how: 'timed in part', rejected: {} });
  const first = own.filter((one, i) => own.findIndex(({ role }) => role === one.role) === i);
  expect(result.chosen).toEqual(first);
  // and so are those that are there for when they are not
  const rejected = Object.fromEntries(result.chosen.filter(isProduct).map((one) => [variantName(one), 'a test']));
  const { matvec, head, matmul } = VARIANTS.small;
  expect((await checked(gpu, { candidates: own, rejected })).choice).toMatchObject({
    mlp: { name: matvecName(matvec) },
    head: { name: matvecName(head) },
    matmul: { name: matmulName(matmul) },
  });
});

it('a device with subgroups has shapes with them to try, each once, after its profile’s own; one without has none', async () => {
  const { profile } = await testGpu();
  const real = { ...profile, software: false };
  const names = candidatesFor(real).map(variantName);
  expect(new Set(names).size).toBe(names.length);
  expect(names.filter((name) => name.includes('subgroups')).length).toBeGreaterThan(20);
  expect(names[0]).toBe(`gateUp ${matvecName(VARIANTS.gpu.matvec)}`);
  expect(candidatesFor({ ...real, subgroups: null }).filter(({ name }) => name.includes('subgroups'))).toEqual([]);
});
