/**
 * The executor on WebGPU. Buffers come from the plan through the ledger, dispatches from lower.ts, and bind groups and
 * pipelines are made once (those of a conversation's rings for each conversation, and again when it grew). A sampled id stays on the GPU and feeds the next step;
 * ids are read back late, four bytes each, while further steps already run.
 */
import { NibbleError, throwIfAborted } from '../../errors';
import type { Gpu } from '../../gpu/device';
import { type BufferRequest, Ledger } from '../../gpu/ledger';
import { Pipelines } from '../../gpu/pipelines';
import { readMapped, readThrough } from '../../gpu/readback';
import type { KernelProfile, Profiler } from '../../gpu/timestamps';
import { READ_USAGE, STORAGE_USAGE, usage } from '../../gpu/usage';
import { submittedWorkDone } from '../../gpu/wait';
import { bindGroup, named } from '../../kernels/kernel';
import type { KernelShapes } from '../../kernels/variants';
import { type ActiveAdapters, type BaseWeights, type StepAdapters, wholeTensors } from '../../memory/adapted';
import {
  distinctRopes,
  ID_RING,
  idReadback,
  isReadback,
  READBACK,
  ropeBuffer,
  STATE,
  STATE_WORDS,
  STEPS_AHEAD,
} from '../../memory/gpu-scratch';
import {
  type BufferPlan,
  biasBuffer,
  type MemoryPlan,
  type PlanModel,
  planMemory,
  stepVectors,
} from '../../memory/plan';
import { frequenciesFor } from '../../model/rope';
import { checkPosition, checkPrompt } from '../check-prompt';
import type {
  Executor,
  ExecutorStats,
  KvCache,
  MemoryReport,
  PrefillOptions,
  SampleOptions,
  WeightSink,
} from '../executor';
import type { Bound } from './bound';
import { GpuKvCache, shiftPart } from './kv-cache';
import { checkSizes, lower, lowerSampler, type Op, weightsOf } from './lower';
import { GpuSink } from './upload';

/** Work is cut into submits of about this long, ms: Windows resets a GPU that is busy for 2 s. */
const SUBMIT_MS = 100;

export interface GpuExecutorOptions {
  shapes: KernelShapes;
  /** name of the shapes, for info() */
  variant: string;
}

/** Whether it uses a conversation's rings. */
const isOwn = ({ layer }: Op): boolean => layer !== null;

/** One chunk of prefill or one step of decode. */
interface Pass {
  tokens: number;
  /** position of the newest token */
  last: number;
  cache: GpuKvCache;
}

const usageOf = ({ name, purpose }: BufferPlan): number =>
  isReadback(name) ? READ_USAGE : purpose === 'staging' ? usage('STORAGE', 'COPY_DST') : STORAGE_USAGE;

/**
 * Allocates weights, scratch and upload buffers of the plan and compiles every kernel; reserve() allocates the cache.
 * @throws NibbleError out-of-memory, limit-exceeded, webgpu-unavailable (a kernel that does not compile)
 */
export async function createGpuExecutor(
  gpu: Gpu,
  model: PlanModel,
  plan: MemoryPlan,
  options: GpuExecutorOptions,
): Promise<GpuExecutor> {
  checkSizes(model.spec);
  const executor = new GpuExecutor(gpu, model, plan, options);
  try {
    await executor.start(plan);
    return executor;
  } catch (error) {
    executor.dispose();
    throw error;
  }
}

export class GpuExecutor implements Executor {
  readonly backend = 'webgpu';
  readonly sink: WeightSink;
  readonly #gpu: Gpu;
  readonly #device: GPUDevice;
  readonly #model: PlanModel;
  readonly #options: GpuExecutorOptions;
  readonly #plan: MemoryPlan;
  readonly #ledger: Ledger;
  readonly #pipelines: Pipelines;
  readonly #buffers = new Map<string, GPUBuffer>();
  readonly #caches = new Set<GpuKvCache>();
  #adapters: StepAdapters = new Map();
  /** names of the buffers that exist for the active adapters only */
  #adapterBuffers: readonly string[] = [];
  /** of a pass, in order, what is the same for every conversation */
  readonly #shared: Record<'decode' | 'prefill', Bound[]> = { decode: [], prefill: [] };
  #sampler: Bound[] = [];
  /** what the buffers of frequencies hold: how far the conversation reaches that they were written for */
  #reach = 0;
  /** decoding uses them up: its own are those of steps encoded ahead */
  #logits: 'none' | 'ready' | 'used' = 'none';
  #dispatches = 0;
  #submits = 0;
  /** dispatches a submit, steered towards SUBMIT_MS */
  #batch = 64;
  #stepMs = Number.POSITIVE_INFINITY;
  #profiler: Profiler | null = null;

  constructor(gpu: Gpu, model: PlanModel, plan: MemoryPlan, options: GpuExecutorOptions) {
    this.#gpu = gpu;
    this.#device = gpu.device;
    this.#model = model;
    this.#plan = plan;
    this.#options = options;
    this.#ledger = new Ledger(gpu.device);
    this.#pipelines = Pipelines.of(gpu.device);
    this.sink = new GpuSink(
      gpu.device,
      this.#pipelines,
      (name) => this.#buffer(name),
      plan.matrices,
      stepVectors(model.steps, model.spec),
      model.steps,
      () => this.#release((buffer) => buffer.purpose === 'staging'),
    );
  }

  async start(plan: MemoryPlan): Promise<void> {
    const wanted = plan.buffers.filter(({ purpose }) => purpose !== 'kv');
    // so that it is here, offline too, when weights are
    shiftPart().catch(() => {});
    await this.#allocate(wanted);
    await this.#compile(this.#adapters);
    await this.#bindShared();
  }

  /** Compiling needs no buffers. */
  async #compile(adapters: StepAdapters): Promise<void> {
    const common = this.#lowerOptions(adapters);
    const ops = [...lower(common, 'decode'), ...lower(common, 'prefill'), ...lowerSampler(this.#model.spec.vocab)];
    await Promise.all(ops.map(({ kernel }) => this.#pipelines.get(kernel)));
  }

  /** Binds what reads no conversation's rings; the rest is bound when a conversation is used. */
  async #bindShared(): Promise<void> {
    const common = this.#lowerOptions();
    for (const mode of ['decode', 'prefill'] as const)
      this.#shared[mode] = await this.#bind(lower(common, mode).filter((op) => !isOwn(op)));
    this.#sampler = await this.#bind(lowerSampler(this.#model.spec.vocab));
    for (const cache of this.#caches) cache.passes = null;
  }

  /** The passes of a conversation, with the frequencies of its length in place. */
  async #use(cache: GpuKvCache): Promise<NonNullable<GpuKvCache['passes']>> {
    this.#useFrequencies(cache.reach);
    cache.passes ??= { decode: await this.#bindFor(cache, 'decode'), prefill: await this.#bindFor(cache, 'prefill') };
    return cache.passes;
  }

  async #bindFor(cache: GpuKvCache, mode: 'decode' | 'prefill'): Promise<Bound[]> {
    const ops = lower({ ...this.#lowerOptions(), parts: cache.parts }, mode);
    const [shared, own] = [this.#shared[mode].values(), await this.#bind(ops.filter(isOwn), cache)];
    return ops.map((op) => (isOwn(op) ? own.shift() : shared.next().value) as Bound);
  }

  createCache(): KvCache {
    const cache: GpuKvCache = new GpuKvCache({
      device: this.#device,
      ledger: this.#ledger,
      pipelines: this.#pipelines,
      buffer: (name) => this.#buffer(name),
      useFrequencies: (reach) => this.#useFrequencies(reach),
      spec: this.#model.spec,
      plan: this.#plan,
      health: this.#gpu.health,
      dispose: () => this.#caches.delete(cache),
    });
    this.#caches.add(cache);
    return cache;
  }

  #own(cache: KvCache): GpuKvCache {
    if (cache instanceof GpuKvCache && this.#caches.has(cache)) return cache;
    throw new Error('a cache of another executor, or one that was freed');
  }

  #lowerOptions(adapters = this.#adapters) {
    return {
      model: this.#model,
      matrices: this.#plan.matrices,
      adapters,
      shapes: this.#options.shapes,
      kv: this.#plan.request.kvType,
      parts: this.#plan.kvByLayer.map(({ parts }) => parts),
      profile: this.#gpu.profile,
    };
  }

  #buffer(name: string): GPUBuffer {
    const buffer = this.#buffers.get(name);
    if (!buffer) throw new Error(`the plan has no buffer ${name}`);
    return buffer;
  }

  async #allocate(plans: readonly BufferPlan[]): Promise<void> {
    const requests: BufferRequest[] = plans.map((plan) => ({ ...plan, usage: usageOf(plan) }));
    const made = await this.#ledger.allocate(requests);
    for (const [i, { name }] of plans.entries()) this.#buffers.set(name, made[i]);
  }

  #release(which: (plan: BufferPlan) => boolean): void {
    for (const plan of this.#plan.buffers.filter(which)) {
      const buffer = this.#buffers.get(plan.name);
      if (buffer) this.#ledger.release(buffer);
      this.#buffers.delete(plan.name);
    }
  }

  #useFrequencies(reach: number): void {
    if (reach === this.#reach) return;
    this.#reach = reach;
    const { spec } = this.#model;
    for (const rope of distinctRopes(spec)) {
      const frequencies = Float32Array.from(frequenciesFor(rope, reach));
      this.#device.queue.writeBuffer(this.#buffer(ropeBuffer(spec, rope)), 0, frequencies);
    }
  }

  /** The weights as adapters see them: those that they bring are in `fresh`. */
  #base(adapters: StepAdapters, fresh: ReadonlyMap<string, GPUBuffer>): BaseWeights {
    return {
      rowNorms: async (step, ...product) => {
        const names = step.parts.map((part) => part.name);
        const matrices = weightsOf(this.#plan.matrices, adapters.get(step), names);
        const buffer = (name: string) => fresh.get(name) ?? this.#buffer(name);
        const read = (from: GPUBuffer, values: number) => this.#read(from, values);
        const { rowNorms } = await import('./row-norms');
        return rowNorms(this.#device, this.#ledger, this.#pipelines, matrices, buffer, product, read);
      },
      rows: async (step, tensor, indices) => {
        const matrices = weightsOf(this.#plan.matrices, adapters.get(step), [tensor]);
        const buffer = (name: string) => fresh.get(name) ?? this.#buffer(name);
        const room = { chunk: this.#plan.request.chunk, table: this.#options.shapes.matvec.table };
        const read = (from: GPUBuffer, values: number) => this.#read(from, values);
        const { readRows } = await import('./read-rows');
        return readRows(this.#device, this.#pipelines, matrices, indices, room, buffer, read);
      },
      biases: (step) =>
        this.#read(
          this.#buffer(biasBuffer(step)!),
          step.parts.reduce((rows, part) => rows + part.rows, 0),
        ),
    };
  }

  /** Brings what adapters have whole into its buffers, as weights come into theirs. */
  async #fillWhole(active: ActiveAdapters, adapters: StepAdapters, fresh: ReadonlyMap<string, GPUBuffer>) {
    const { matrices, vectors } = wholeTensors(adapters);
    const plans = matrices.length > 0 ? this.#plan.buffers.filter(({ purpose }) => purpose === 'staging') : [];
    const staging = await this.#ledger.allocate(plans.map((plan) => ({ ...plan, usage: usageOf(plan) })));
    try {
      const buffers = new Map([...fresh, ...plans.map(({ name }, i) => [name, staging[i]] as const)]);
      const lengths = new Map(vectors.map(({ name, cols }) => [name, cols]));
      const buffer = (name: string) => buffers.get(name)!;
      const sink = new GpuSink(this.#device, this.#pipelines, buffer, matrices, lengths, [], () => {});
      await active.fill(sink);
      await sink.finish();
    } finally {
      for (const buffer of staging) this.#ledger.release(buffer);
    }
  }

  async setAdapters(active: ActiveAdapters | null): Promise<void> {
    this.#gpu.health.check();
    const model = { ...this.#model, adapted: active?.steps };
    const { adapters, buffers } = planMemory(model, this.#plan.request, this.#gpu.limits, 'webgpu');
    const always = new Set(this.#plan.buffers.map(({ name }) => name));
    const wanted = buffers.filter(({ name, purpose }) => purpose !== 'kv' && !always.has(name));
    const made = await this.#ledger.allocate(wanted.map((plan) => ({ ...plan, usage: usageOf(plan) })));
    try {
      const fresh = new Map(wanted.map(({ name }, i) => [name, made[i]]));
      if (active) await this.#fillWhole(active, adapters, fresh);
      const base = this.#base(adapters, fresh);
      for (const adapter of adapters.values()) {
        const contents = await active!.read(adapter, 'webgpu', base);
        for (const [name, bytes] of contents) this.#device.queue.writeBuffer(fresh.get(name)!, 0, bytes);
        // so that no more than one step's values wait in the queue
        await submittedWorkDone(this.#device);
      }
      await this.#compile(adapters);
      this.#gpu.health.check();
    } catch (error) {
      for (const buffer of made) this.#ledger.release(buffer);
      throw error;
    }
    for (const name of this.#adapterBuffers) {
      this.#ledger.release(this.#buffer(name));
      this.#buffers.delete(name);
    }
    for (const [i, { name }] of wanted.entries()) this.#buffers.set(name, made[i]);
    this.#adapterBuffers = wanted.map(({ name }) => name);
    this.#adapters = adapters;
    this.#logits = 'none';
    await this.#bindShared();
  }

  #bind(ops: readonly Op[], cache?: GpuKvCache): Promise<Bound[]> {
    return Promise.all(
      ops.map(async (op) => {
        const pipeline = await this.#pipelines.get(op.kernel);
        const bound = named(op.buffers, (name) => cache?.buffers.get(name) ?? this.#buffer(name));
        return { op, pipeline, group: bindGroup(this.#device, pipeline, op.kernel, bound) };
      }),
    );
  }

  async prefill(into: KvCache, ids: ArrayLike<number>, start: number, options: PrefillOptions = {}): Promise<void> {
    this.#gpu.health.check();
    const cache = this.#own(into);
    checkPrompt(ids, this.#model.spec.vocab);
    checkPosition(start + ids.length, cache.capacity);
    this.#logits = 'none';
    const { chunk } = this.#plan.request;
    const { prefill } = await this.#use(cache);
    const { signal, onLogits, onProgress } = options;
    const head = prefill.findIndex(({ op }) => op.head);
    for (let at = 0; at < ids.length; at += chunk) {
      const tokens = Math.min(chunk, ids.length - at);
      const piece = Uint32Array.from({ length: tokens }, (_, i) => ids[at + i]);
      this.#device.queue.writeBuffer(this.#buffer('ids'), 0, piece);
      this.#device.queue.writeBuffer(this.#buffer('state'), 0, new Uint32Array([start + at, tokens]));
      const last = start + at + tokens - 1;
      const pass = { tokens, last, cache };
      cache.held.write(start + at, last);
      const wantsHead = !onLogits && at + tokens === ids.length;
      await this.#submitInPieces(wantsHead ? prefill : prefill.slice(0, head), pass, signal);
      for (let row = 0; onLogits && row < tokens; row++) {
        // the head takes the last of so many tokens
        this.#device.queue.writeBuffer(this.#buffer('state'), STATE.tokens * 4, new Uint32Array([row + 1]));
        await this.#submitInPieces(prefill.slice(head), pass, signal);
        onLogits(start + at + row, await this.#readLogits());
      }
      onProgress?.(at + tokens);
    }
    this.#logits = 'ready';
  }

  /** Encodes in submits of about SUBMIT_MS, waiting for each but the fastest, so that a request can be stopped. */
  async #submitInPieces(bound: readonly Bound[], pass: Pass, signal?: AbortSignal): Promise<void> {
    for (let from = 0; from < bound.length; ) {
      throwIfAborted(signal);
      const size = this.#batch;
      const piece = bound.slice(from, from + size);
      const began = performance.now();
      const encoder = this.#device.createCommandEncoder();
      this.#encode(encoder, piece, pass);
      this.#submit(encoder);
      await submittedWorkDone(this.#device);
      this.#gpu.health.check();
      const ms = performance.now() - began;
      if (ms > 1.5 * SUBMIT_MS) this.#batch = Math.max(1, Math.floor(size / 2));
      else if (ms < 0.5 * SUBMIT_MS && piece.length === size) this.#batch = Math.min(4096, size * 2);
      from += piece.length;
    }
  }

  #encode(encoder: GPUCommandEncoder, bound: readonly Bound[], work: Pass): void {
    if (this.#profiler) {
      for (const item of bound) {
        const pass = encoder.beginComputePass(this.#profiler.pass(item.op.kernel.label));
        this.#dispatch(pass, item, work);
        pass.end();
      }
      this.#profiler.resolve(encoder);
      return;
    }
    const pass = encoder.beginComputePass();
    for (const item of bound) this.#dispatch(pass, item, work);
    pass.end();
  }

  #dispatch(pass: GPUComputePassEncoder, { op, pipeline, group }: Bound, { tokens, last, cache }: Pass): void {
    const [x, y = 1, z = 1] = op.groups(tokens, last, cache.held.slots);
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(x, y, z);
    this.#dispatches++;
  }

  #submit(encoder: GPUCommandEncoder): void {
    this.#device.queue.submit([encoder.finish()]);
    this.#submits++;
  }

  async *decode(
    into: KvCache,
    start: number,
    count: number,
    sample: SampleOptions,
    signal?: AbortSignal,
  ): AsyncGenerator<number> {
    this.#gpu.health.check();
    const cache = this.#own(into);
    if (this.#logits !== 'ready')
      throw new NibbleError('invalid-option', 'There are no logits to sample from: prefill a prompt first.');
    // The last id is never written.
    checkPosition(start + count - 1, cache.capacity);
    const { decode } = await this.#use(cache);
    this.#logits = 'used';
    this.#writeRequest(start, sample);
    const pending: Promise<ArrayBuffer>[] = [];
    let encoded = 0;
    let began = performance.now();
    try {
      for (let yielded = 0; yielded < count; yielded++) {
        throwIfAborted(signal);
        // A sliding ring has room for a chunk: what is thrown away later must not overwrite what is still seen.
        const ahead = this.#stepMs > SUBMIT_MS / 2 ? 0 : Math.min(STEPS_AHEAD, this.#plan.request.chunk - 1);
        while (encoded < count && encoded <= yielded + ahead) pending.push(this.#step(cache, decode, start, encoded++));
        const bytes = await (pending.shift() as Promise<ArrayBuffer>);
        this.#gpu.health.check();
        const now = performance.now();
        if (yielded > 0) this.#stepMs = now - began;
        began = now;
        yield new Uint32Array(bytes)[0];
      }
    } finally {
      await Promise.allSettled(pending);
    }
  }

  #writeRequest(start: number, { temperature, topK, topP, seed, firstStep = 0 }: SampleOptions): void {
    const state = new Uint32Array(STATE_WORDS);
    const floats = new Float32Array(state.buffer);
    // The sampler moves to the next position before it hands the id on.
    state[STATE.position] = start - 1;
    state[STATE.tokens] = 1;
    state[STATE.step] = firstStep;
    floats[STATE.temperature] = temperature;
    state[STATE.topK] = topK;
    floats[STATE.topP] = topP;
    state[STATE.seed] = seed;
    this.#device.queue.writeBuffer(this.#buffer('state'), 0, state);
  }

  /** One submit: the previous id's pass (none before the first), the sampler, and the id on its way back. */
  #step(cache: GpuKvCache, decode: readonly Bound[], start: number, index: number): Promise<ArrayBuffer> {
    const encoder = this.#device.createCommandEncoder();
    const pass = { tokens: 1, last: start + index - 1, cache };
    if (index > 0) {
      cache.held.write(pass.last, pass.last);
      this.#encode(encoder, decode, pass);
    }
    this.#encode(encoder, this.#sampler, pass);
    const readback = this.#buffer(idReadback(index));
    encoder.copyBufferToBuffer(this.#buffer('sampled'), (index % ID_RING) * 4, readback, 0, 4);
    this.#submit(encoder);
    return readMapped(this.#device, readback, 4);
  }

  async logits(): Promise<Float32Array> {
    this.#gpu.health.check();
    if (this.#logits === 'none')
      throw new NibbleError('invalid-option', 'There are no logits yet; run a prompt first.');
    return this.#readLogits();
  }

  #readLogits(): Promise<Float32Array> {
    return this.#read(this.#buffer('logits'), this.#model.spec.vocab);
  }

  /** f32 values of a buffer. */
  async #read(from: GPUBuffer, values: number): Promise<Float32Array> {
    const bytes = values * 4;
    const read = await readThrough(this.#device, this.#buffer(READBACK), [{ from, at: 0, to: 0, bytes }], bytes);
    return new Float32Array(read.buffer);
  }

  /** Runs `work` with every dispatch timed; milliseconds by kernel. null where timestamps are not allowed. */
  async profile(work: () => Promise<void>): Promise<KernelProfile[] | null> {
    const { createProfiler } = await import('../../gpu/timestamps');
    this.#profiler = createProfiler(this.#device, this.#gpu.features);
    if (!this.#profiler) return null;
    try {
      await work();
      return await this.#profiler.finish();
    } finally {
      this.#profiler = null;
    }
  }

  memory(): MemoryReport {
    return this.#ledger.report();
  }

  stats(): ExecutorStats {
    return { dispatches: this.#dispatches, submits: this.#submits, variants: { shapes: this.#options.variant } };
  }

  dispose(): void {
    this.#caches.clear();
    this.#ledger.dispose();
    this.#buffers.clear();
  }
}
