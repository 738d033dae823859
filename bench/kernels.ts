/**
 * What one token costs a GPU, counted from the compiled plan: dispatches, workgroups, barriers, bytes and load
 * instructions, of products with each shape that the tuner may choose; and what a prompt's products by subgroup
 * matrices do. Where there is no GPU to time them on, this is what bench/kernels.md rests on.
 *
 *   node scripts/run.mjs ../bench/kernels [--geometry NAME] [--context TOKENS]
 */
import { parseArgs } from 'node:util';
import { graphOf, request } from '../src/execute/cpu/test/models';
import { lower } from '../src/execute/gpu/lower';
import { lowerSampler } from '../src/execute/gpu/lower-sampler';
import type { Op } from '../src/execute/gpu/op';
import { linksOf } from '../src/execute/sampler/links';
import { NF4_CODEBOOK } from '../src/formats/matrix';
import type { DeviceProfile } from '../src/gpu/device-profile';
import type { SubgroupMatrices } from '../src/gpu/subgroup-matrices';
import { candidatesFor, isMatmul, isProduct } from '../src/kernels/candidates';
import { isInt8, matmulGroups, matmulKernel, matmulName } from '../src/kernels/matmul';
import type { MatvecShape } from '../src/kernels/matvec';
import { type KernelShapes, VARIANTS, withInt8 } from '../src/kernels/variants';
import { CHUNK_COLUMNS, type DeviceMatrix } from '../src/memory/layout';
import { planMemory } from '../src/memory/plan';
import { parseSpec } from '../src/model/parse';
import { GPU_GEOMETRIES, type GpuGeometry } from './gpu-geometries';
import { runToExit } from './run';

/** Limits and features of a desktop's GPU. */
const PROFILE: DeviceProfile = {
  vendor: '',
  software: false,
  subgroups: { min: 32, max: 32 },
  matrices: null,
  f16: false,
  intDot: true,
  workgroup: { bytes: 32768, threads: 1024 },
};
const GREEDY = linksOf({ temperature: 0, topK: 0, topP: 1, seed: 0 }, 0);

/** A model of a geometry in NF4, and the plan of a conversation of so many tokens. */
function planned(name: GpuGeometry, context: number) {
  const spec = parseSpec(structuredClone(GPU_GEOMETRIES[name]));
  const model = graphOf(spec, { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK });
  const limits = { maxBufferSize: 2 ** 32, maxStorageBufferBindingSize: 2 ** 32 };
  return {
    model,
    plan: planMemory(model, request({ promptTokens: context, maxNewTokens: 1, kvType: 'f16' }), limits, 'webgpu'),
  };
}

/** The dispatches of a token at the end of the context. */
function dispatches({ model, plan }: ReturnType<typeof planned>, shapes: KernelShapes, context: number) {
  const parts = plan.kvByLayer.map((layer) => layer.parts);
  const { matrices, adapters } = plan;
  const ops = lower({ model, matrices, adapters, shapes, kv: 'f16', parts, profile: PROFILE }, 'decode');
  const slots = plan.kvByLayer.map((layer) => layer.slots);
  const all = [...ops, ...lowerSampler(model.spec.vocab, shapes.sampler, GREEDY)];
  return all
    .map((op) => ({ op, groups: op.groups(1, context - 1, slots) }))
    .filter(({ groups }) => groups[0] > 0)
    .map(({ op, groups: [x, y = 1, z = 1] }) => ({ op, groups: x * y * z }));
}

const barriersIn = ({ kernel }: Op): number => kernel.code.match(/workgroupBarrier\(\)/g)?.length ?? 0;

/**
 * Load instructions of 16 bytes that the threads of a product issue for a chunk of 32 columns: its codes (and a scale
 * a block of two chunks) of each row, and its input, which is read once a thread or, staged, once a workgroup.
 */
function matvecLoads(
  matrix: DeviceMatrix,
  { lanes, slices, tile, staged }: MatvecShape,
  normed: boolean,
  gated: boolean,
) {
  if (lanes === 'even') throw new Error('a software shape');
  const chunks = Math.ceil(matrix.cols / CHUNK_COLUMNS);
  const rows = gated ? matrix.rows / 2 : matrix.rows;
  const groups = Math.ceil(rows / (lanes * tile));
  const threadChunks = groups * lanes * chunks;
  const weights = threadChunks * tile * (gated ? 2 : 1) * 1.5;
  const input = (staged ? groups * chunks : threadChunks) * 8 * (normed ? 2 : 1);
  return { weights, input, groups, threads: lanes * slices };
}

/** Workgroups, and millions of loads, of all layers' products with one shape. */
function productsOf(name: GpuGeometry, shape: MatvecShape) {
  const layers = planned(name, 128).plan.matrices.filter(({ parts }) => parts[0].tensor.includes('.layers.'));
  const counts = layers.map((matrix) => {
    const { tensor } = matrix.parts[0];
    const gated = tensor.includes('gate_proj');
    return matvecLoads(matrix, shape, gated || tensor.includes('q_proj'), gated);
  });
  const sum = (value: (one: (typeof counts)[number]) => number) => counts.reduce((total, one) => total + value(one), 0);
  const millions = (value: number) => (value / 1e6).toFixed(1);
  return {
    groups: sum(({ groups }) => groups),
    threads: counts[0].threads,
    weights: millions(sum(({ weights }) => weights)),
    input: millions(sum(({ input }) => input)),
  };
}

/** Matrices of two makers' GPUs, with the workgroup memory that their adapters say. */
const MATRICES: Record<string, [of: SubgroupMatrices, bytes: number]> = {
  NVIDIA: [{ m: 16, n: 16, k: 16, f16: true, lanes: 32, smaller: null }, 49152],
  Apple: [{ m: 8, n: 8, k: 8, f16: false, lanes: 32, smaller: null }, 32768],
};

/** Products of 512 tokens by subgroup matrices: what a subgroup does in a step, and all of a model's layers. */
function tellMatrices(names: readonly GpuGeometry[]): void {
  console.log(
    `\n| products by subgroup matrices | threads | bytes | a step: loads, products of matrices | bytes a multiply-add | ${names.map((name) => `${name}, 512 tokens: workgroups; millions of products`).join(' | ')} |`,
  );
  console.log(`| --- | --- | --- | --- | --- | ${names.map(() => '---').join(' | ')} |`);
  for (const [vendor, [of, bytes]] of Object.entries(MATRICES)) {
    const workgroup = { bytes, threads: 1024 };
    for (const candidate of candidatesFor({ ...PROFILE, f16: of.f16, matrices: of, workgroup })) {
      const { role, shape, name } = candidate;
      if (role !== 'matmul' || shape.kind !== 'own') continue;
      const layers = names.map((geometry) =>
        planned(geometry, 512).plan.matrices.filter(({ parts }) => parts[0].tensor.includes('.layers.')),
      );
      const { code } = matmulKernel(layers[0][0], { outputStride: layers[0][0].rows }, shape, name);
      const uses = (what: string) => code.split(what).length - 1;
      const [loads, products] = [uses('= subgroupMatrixLoad'), uses('= subgroupMatrixMultiplyAccumulate')];
      // of either kind as many numbers a matrix, where m is n
      const read = (loads * of.m * of.k * (of.f16 ? 2 : 4)) / (products * of.m * of.n * of.k);
      const counts = layers.map((matrices) => {
        let [groups, all] = [0, 0];
        for (const { rows, cols } of matrices) {
          const [x, y] = matmulGroups(rows, 512, false, shape);
          groups += x * y;
          all += (x * shape.tile[1] * y * shape.tile[0] * cols) / (of.m * of.n * of.k);
        }
        return `${groups}; ${(all / 1e6).toFixed(1)}`;
      });
      const cells = [`${vendor}: ${name}`, shape.threads, shape.bytes, `${loads}, ${products}`, read.toFixed(3)];
      console.log(`| ${[...cells, ...counts].join(' | ')} |`);
    }
  }
}

/** Tokens of a prompt's chunk. */
const CHUNK = 256;

/**
 * Of a chunk of a prompt with these shapes: dispatches; MB that products read of their input, each workgroup its
 * tokens' rows; and millions of instructions that multiply: one a product, or with int8 one for four products and three
 * (a conversion, two products) for the 32 of a chunk of columns.
 */
function prefillOf(name: GpuGeometry, shapes: KernelShapes) {
  const { model, plan } = planned(name, CHUNK);
  const parts = plan.kvByLayer.map((layer) => layer.parts);
  const { matrices, adapters } = plan;
  const ops = lower({ model, matrices, adapters, shapes, kv: 'f16', parts, profile: PROFILE }, 'prefill');
  const slots = plan.kvByLayer.map((layer) => layer.slots);
  const taken = ops.filter((op) => op.stage !== 'head' && op.groups(CHUNK, CHUNK - 1, slots)[0] > 0);
  const int8 = isInt8(shapes.matmul);
  let [bytes, instructions] = [0, 0];
  for (const { rows, cols, parts } of matrices.filter((one) => one.parts[0].tensor.includes('.layers.'))) {
    const gated = parts[0].tensor.includes('gate_proj');
    const [, groups] = matmulGroups(gated ? rows / 2 : rows, CHUNK, gated, shapes.matmul);
    bytes += groups * CHUNK * cols * (int8 ? 1.5 : 4);
    instructions += rows * cols * CHUNK * (int8 ? 1 / 4 + 3 / CHUNK_COLUMNS : 1);
  }
  return [taken.length, (bytes / 1e6).toFixed(0), (instructions / 1e6).toFixed(0)].join('; ');
}

function run(argv: readonly string[]): number {
  const { values } = parseArgs({
    args: [...argv],
    options: { geometry: { type: 'string', default: '' }, context: { type: 'string', default: '' } },
  });
  const names = (Object.keys(GPU_GEOMETRIES) as GpuGeometry[]).filter((name) => name.includes(values.geometry));
  if (names.length === 0) throw new Error(`There is no geometry ${values.geometry}: ${Object.keys(GPU_GEOMETRIES)}.`);
  const contexts = values.context ? [Number(values.context)] : [128, 4096];
  console.log(
    '| geometry | context | dispatches | workgroups | barriers, all workgroups | weights, MB | keys and values, MB |',
  );
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  for (const name of names) {
    for (const context of contexts) {
      const of = planned(name, context);
      const all = dispatches(of, VARIANTS.gpu, context);
      const sum = (value: (one: (typeof all)[number]) => number) => all.reduce((total, one) => total + value(one), 0);
      // of a tied embedding the head reads all; else a row of it
      const { spec } = of.model;
      const table = spec.tiedHead ? 0 : of.plan.matrices[0].bytes.codes;
      const cells = [
        all.length,
        sum(({ groups }) => groups),
        sum(({ op, groups }) => groups * barriersIn(op)),
        ((of.plan.weights - table) / 1e6).toFixed(1),
        ((2 * spec.layers.length * spec.kvHeads * spec.headSize * 2 * context) / 1e6).toFixed(1),
      ];
      console.log(`| ${name} | ${context} | ${cells.join(' | ')} |`);
    }
  }
  console.log(`\n| products of a layer, one token | threads | ${names.join(' | ')} |`);
  console.log(`| --- | --- | ${names.map(() => '---').join(' | ')} |`);
  for (const candidate of candidatesFor(PROFILE)) {
    if (candidate.role !== 'mlp' || !isProduct(candidate) || isMatmul(candidate)) continue;
    const counts = names.map((name) => productsOf(name, candidate.shape));
    const cells = counts.map(({ groups, weights, input }) => `${groups}; ${weights}, ${input}`);
    console.log(`| ${candidate.name} | ${counts[0].threads} | ${cells.join(' | ')} |`);
  }
  console.log(`\n| a chunk of ${CHUNK} tokens | ${names.join(' | ')} |`);
  console.log(`| --- | ${names.map(() => '---').join(' | ')} |`);
  for (const shapes of [VARIANTS.gpu, withInt8(VARIANTS.gpu)])
    console.log(`| ${matmulName(shapes.matmul)} | ${names.map((name) => prefillOf(name, shapes)).join(' | ')} |`);
  tellMatrices(names);
  return 0;
}

export const main = (argv: readonly string[]): Promise<never> => runToExit(async () => run(argv));
