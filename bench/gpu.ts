/**
 * All that is asked of a real GPU, in one run of some minutes: how fast it reads, whether every variant is right on it,
 * what the tuner chooses, and the speed of four models' sizes at several contexts, as a share of what it reads.
 *
 *   node scripts/run.mjs ../bench/gpu [--only TEXT] [--contexts 128,4096,16384] [--minutes 8] [--quick] [--out FOLDER]
 *     [--shipped]
 *
 * Through Dawn, with what browsers have behind flags (subgroup matrices), or without it (--shipped). --only takes the
 * geometries with that text in their names (gpu-geometries.ts), --quick a small one and one variant: for tests. What
 * there is no time for is said. bench/gpu-pack.ts packs it for a machine that has nothing but Node. Exit status 1 when
 * a variant is wrong, or nothing was measured.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadWeights } from '../src/checkpoint/load-weights';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint';
import { GREEDY, request } from '../src/execute/cpu/test/models';
import { createGpuExecutor, type GpuExecutor } from '../src/execute/gpu/executor';
import type { GpuKvCache } from '../src/execute/gpu/kv-cache';
import { tune, variantName } from '../src/execute/gpu/tune/tune';
import { maskWords, type SampleOptions } from '../src/execute/sampler/options';
import { type Gpu, requestGpu } from '../src/gpu/device';
import type { DeviceProfile } from '../src/gpu/device-profile';
import { submittedWorkDone } from '../src/gpu/wait';
import { candidatesFor, withCandidates } from '../src/kernels/candidates';
import { VARIANTS } from '../src/kernels/variants';
import { planMemory } from '../src/memory/plan';
import { tensorTable } from '../src/model/decoder';
import { gpuFor } from '../src/node/dawn';
import { createRandomSource } from '../src/node/random-source';
import { graphOf } from '../src/runtime/planning';
import { checkVariants, FIXTURES } from './check-variants';
import { GPU_GEOMETRIES } from './gpu-geometries';
import { runToExit } from './run';

const SAMPLED = { temperature: 0.8, topK: 40, topP: 0.9, seed: 1 };

/** A model of a moment's computing, where the run itself is what is tried. */
const TINY = {
  ...GPU_GEOMETRIES['SmolLM2-135M'],
  hidden_size: 128,
  intermediate_size: 256,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 512,
};

/** Reads a buffer 16 bytes a thread at a time, neighbours side by side, and leaves one word a workgroup. */
const READ = `
@group(0) @binding(0) var<storage, read> data: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
  @builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  var sum = vec4u(0u);
  let threads = groups.x * 256u;
  for (var i = id.x; i < arrayLength(&data); i += 4u * threads) {
    sum ^= data[i] ^ data[i + threads] ^ data[i + 2u * threads] ^ data[i + 3u * threads];
  }
  if ((sum.x | sum.y | sum.z | sum.w) == 1u || thread == 0u) {
    out[group.x] = sum.x;
  }
}`;

/** Bytes a second that the GPU reads, the best of eight times. */
async function bandwidth({ device, limits }: Gpu, most: number): Promise<number> {
  const bytes = 2 ** Math.floor(Math.log2(Math.min(most, limits.maxStorageBufferBindingSize, limits.maxBufferSize)));
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const groups = 4096;
  const [data, out] = [bytes, groups * 4].map((size) => device.createBuffer({ size, usage }));
  const module = device.createShaderModule({ code: READ });
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
  const entries = [data, out].map((buffer, binding) => ({ binding, resource: { buffer } }));
  const bound = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  const rounds = 8;
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 8; i++) {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bound);
    for (let round = 0; round < rounds; round++) pass.dispatchWorkgroups(groups);
    pass.end();
    const began = performance.now();
    device.queue.submit([encoder.finish()]);
    await submittedWorkDone(device);
    best = Math.min(best, performance.now() - began);
  }
  data.destroy();
  out.destroy();
  return (bytes * rounds * 1000) / best;
}

type Config = Parameters<typeof createRandomSource>[0];

/** A model of random weights on the GPU, with the shapes that the tuner has chosen for it. */
async function open(gpu: Gpu, config: Config, context: number, chunk: number) {
  const checkpoint = await openCheckpoint(createRandomSource(config));
  const model = graphOf(checkpoint, { weights: 'keep', keep: [] });
  const { spec } = model;
  const table = tensorTable(spec);
  const plan = planMemory(
    model,
    request({ promptTokens: context, maxNewTokens: 128, kvType: 'f16', chunk }),
    gpu.limits,
    'webgpu',
  );
  const variant = gpu.profile.software ? 'small' : 'gpu';
  const executor = await createGpuExecutor(gpu, model, plan, { variant, shapes: VARIANTS[variant] });
  // while what it is tried in is there
  const timeout = { signal: new AbortController().signal, limit: gpu.profile.software ? 0 : 20_000 };
  const tuned = async (less: Partial<DeviceProfile>) => {
    const candidates = candidatesFor({ ...gpu.profile, ...less, software: false });
    return tune(executor.tuneContext(), { candidates, known: {}, rejected: {}, ...timeout });
  };
  const { f16, matrices } = gpu.profile;
  const choices = {
    all: await tuned({}),
    ...(matrices && { 'without subgroup matrices': await tuned({ matrices: null }) }),
    ...(f16 && { 'without f16': await tuned({ f16: false, matrices: null }) }),
  };
  await loadWeights(checkpoint, table, executor.sink);
  const caches = Array.from({ length: 4 }, () => executor.createCache() as GpuKvCache);
  for (const cache of caches) await cache.reserve(plan);
  return { spec, plan, executor, caches, choices, shapes: VARIANTS[variant] };
}

/** Tokens a second of decode behind `at` positions, of whose keys only the room counts: the best of three. */
async function decodeAt(
  executor: GpuExecutor,
  cache: GpuKvCache,
  at: number,
  sample: SampleOptions = GREEDY,
  tokens = 96,
) {
  let best = 0;
  for (let i = 0; i < 3; i++) {
    await executor.prefill(cache, [1], at - 1);
    const began = performance.now();
    let count = 0;
    for await (const _ of executor.decode(cache, at, tokens, sample)) count++;
    best = Math.max(best, (count * 1000) / (performance.now() - began));
  }
  return best;
}

/** The same of four answers at once, of all together. */
async function fourAt(executor: GpuExecutor, caches: readonly GpuKvCache[], at: number, tokens: number) {
  const streams = await executor.openStreams(caches.length);
  let best = 0;
  for (let i = 0; i < 3; i++) {
    for (const cache of caches) await executor.prefill(cache, [1], at - 1, { logits: false });
    const began = performance.now();
    let count = 0;
    const all = caches.map((cache) => ({ cache, last: 1, start: at, count: tokens, sample: GREEDY }));
    for await (const ids of streams.decode(all)) count += ids.length;
    best = Math.max(best, (count * 1000) / (performance.now() - began));
  }
  streams.close();
  return best;
}

async function prefillOf(executor: GpuExecutor, cache: GpuKvCache, tokens: number, vocab: number): Promise<number> {
  const ids = Array.from({ length: tokens }, (_, i) => (i * 7919 + 17) % vocab);
  let best = 0;
  for (let i = 0; i < 3; i++) {
    const began = performance.now();
    await executor.prefill(cache, ids, 0);
    best = Math.max(best, (tokens * 1000) / (performance.now() - began));
  }
  return best;
}

async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string', default: '' },
      contexts: { type: 'string', default: '128,4096,16384' },
      minutes: { type: 'string', default: '8' },
      quick: { type: 'boolean' },
      shipped: { type: 'boolean' },
      out: { type: 'string', default: '' },
    },
  });
  const began = performance.now();
  const isLate = () => performance.now() - began > Number(values.minutes) * 60_000;
  const lines: string[] = [];
  const say = (line: string) => {
    lines.push(line);
    console.log(line);
  };
  const instance = await gpuFor('webgpu', undefined, !values.shipped);
  const gpu = await requestGpu(instance, { limits: 'adapter', features: 'all' });
  const { vendor, architecture, device, description } = gpu.adapter;
  say(
    `adapter: ${[vendor, architecture, device, description].join(' ')}; ${[...gpu.features].join(' ')}; subgroups ${JSON.stringify(gpu.profile.subgroups)}; matrices ${JSON.stringify(gpu.profile.matrices)}`,
  );
  const reads = await bandwidth(gpu, values.quick ? 16 << 20 : 1 << 30);
  say(`read bandwidth: ${(reads / 1e9).toFixed(1)} GB/s`);

  const checked = values.quick
    ? await checkVariants(gpu, 1, isLate, FIXTURES.slice(0, 1))
    : await checkVariants(gpu, Number.POSITIVE_INFINITY, isLate);
  for (const { variant, worst, good } of checked)
    say(`${good ? 'ok   ' : 'WRONG'} ${variant}: ${worst.toExponential(1)}`);
  const wrong = checked.filter(({ good }) => !good).length;
  say(`variants: ${checked.length - wrong} of ${checked.length} right`);

  say(
    '| geometry | features | prefill of 512, tok/s | decode at | tok/s | share of the bandwidth | sampled, tok/s | four at once, tok/s | times one | with a mask a step, times without |',
  );
  say('| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |');
  const geometries: [string, Config][] = values.quick ? [['tiny', TINY]] : Object.entries(GPU_GEOMETRIES);
  const contexts = values.contexts.split(',').map(Number);
  let measured = 0;
  for (const [name, config] of geometries.filter(([name]) => name.includes(values.only))) {
    if (isLate()) {
      say(`${name}: no time was left`);
      continue;
    }
    const most = Math.max(...contexts);
    const opened = await open(gpu, config as Config, most, values.quick ? 16 : 512);
    const { executor, caches, spec, plan, choices, shapes } = opened;
    const [cache] = caches;
    const tokens = values.quick ? 4 : 96;
    for (const [features, tuned] of Object.entries(choices)) {
      // software has only been checked
      const chosen = gpu.profile.software ? shapes : withCandidates(shapes, tuned.chosen);
      await executor.useShapes({ variant: features, shapes: chosen });
      const prefill = await prefillOf(executor, cache, Math.min(values.quick ? 32 : 512, most), spec.vocab);
      const table = spec.tiedHead ? 0 : plan.matrices[0].bytes.codes;
      for (const context of contexts) {
        const greedy = await decodeAt(executor, cache, context, GREEDY, tokens);
        const sampled = await decodeAt(executor, cache, context, SAMPLED, tokens);
        const four = await fourAt(executor, caches, context, tokens);
        // as under a schema: the host has each id before the next is drawn, and writes which may come
        const mask = new Uint32Array(maskWords(spec.vocab)).fill(0xffffffff);
        const masked = await decodeAt(executor, cache, context, { ...GREEDY, mask: () => mask }, tokens);
        const bytes = plan.weights - table + 4 * spec.layers.length * spec.kvHeads * spec.headSize * context;
        const share = (((greedy * bytes) / reads) * 100).toFixed(1);
        const cells = [
          name,
          features,
          prefill.toFixed(0),
          context,
          greedy.toFixed(1),
          `${share} %`,
          sampled.toFixed(1),
          four.toFixed(1),
          (four / greedy).toFixed(2),
          (masked / greedy).toFixed(2),
        ];
        say(`| ${cells.join(' | ')} |`);
        measured++;
      }
      const { chosen: names, how, ms, rejected } = tuned;
      const list = names.map(variantName).join('; ');
      say(`${name}, ${features}: ${list}; ${how} in ${ms.toFixed(0)} ms; rejected ${JSON.stringify(rejected)}`);
    }
    await executor.prefill(cache, [1], contexts[0] - 1);
    const profile = await executor.profile(async () => {
      for await (const _ of executor.decode(cache, contexts[0], values.quick ? 2 : 16, GREEDY));
    });
    if (profile) say(JSON.stringify(profile));
    executor.dispose();
  }
  // packed beside this: the same geometries by the kernels of before, on the same machine in the same session
  if (existsSync('before.mjs') && !values.quick) {
    for (const name of Object.keys(GPU_GEOMETRIES).filter((one) => one.includes(values.only))) {
      if (isLate()) break;
      const args = ['before.mjs', `${name}.json`, '512', '96', 'base', 'gpu'];
      const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, RUNS: '3' } });
      say(`before, ${name}: ${stdout.split('\n').find((line) => line.startsWith('base')) ?? 'nothing'}`);
    }
  }
  say(`in all ${((performance.now() - began) / 1000).toFixed(0)} s`);
  if (values.out) {
    mkdirSync(values.out, { recursive: true });
    writeFileSync(join(values.out, 'gpu.txt'), `${lines.join('\n')}\n`);
  }
  return wrong > 0 || measured === 0 ? 1 : 0;
}

export const main = (argv: readonly string[]): Promise<never> => runToExit(() => run(argv));
