/**
 * The executor on WebGPU. Buffers come from the plan through the ledger (buffers.ts), dispatches from lower.ts, and
 * both are bound once: what reads no rings for all conversations, the rest for each of them, and anew when its rings
 * grew. Draws and the passes between them: decode.ts; prompts that are read for something else than an answer:
 * read-prompts.ts. It is long because it holds every buffer and pass, and lends them to those.
 */
import { NibbleError } from '../../errors';
import type { Gpu } from '../../gpu/device';
import { Pipelines } from '../../gpu/pipelines';
import { type Piece, readFloats } from '../../gpu/readback';
import type { KernelProfile } from '../../gpu/timestamps';
import { bindGroup, named } from '../../kernels/kernel';
import type { KernelShapes } from '../../kernels/variants';
import type { ActiveAdapters, StepAdapters } from '../../memory/adapted';
import { READBACK } from '../../memory/gpu-scratch';
import { type MemoryPlan, type ModelGraph, planMemory, stepVectors } from '../../memory/plan';
import { checkHead, checkPosition, checkPrompt } from '../check-prompt';
import type {
  Executor,
  ExecutorStats,
  KvCache,
  MemoryReport,
  PrefillOptions,
  Reading,
  Streams,
  WeightSink,
} from '../executor';
import type { Pooled } from '../pooling';
import { linksOf } from '../sampler/links';
import type { SampleOptions } from '../sampler/options';
import type { GpuContext } from './adapters';
import { PlanBuffers } from './buffers';
import { checkSizes } from './check-sizes';
import { Decoding } from './decode';
import { GpuKvCache, shiftPart } from './kv-cache';
import { lower } from './lower';
import { lowerLastRow } from './lower-last-row';
import { lowerSampler } from './lower-sampler';
import { type Bound, beginOf, type Op } from './op';
import { passesOf, takeRow, writeFrequencies } from './passes';
import type { ReadingParts } from './read-prompts';
import { GpuSampler } from './sampler';
import { Submitter } from './submitter';
import type { TuneContext } from './tune/context';
import { GpuSink } from './upload';

export interface GpuExecutorOptions {
  shapes: KernelShapes;
  /** name of the shapes, for info() */
  variant: string;
  /** names of shapes that were chosen one by one, by what they are for */
  chosen?: Readonly<Record<string, string>>;
  /** for tests: steps that are encoded ahead; measured where it is absent */
  ahead?: number;
}

/** Requests whose kernels are made before anybody asks. */
const LIKELIEST: SampleOptions = { temperature: 0, topK: 0, topP: 1, seed: 0 };
const DRAWN: SampleOptions = { temperature: 1, topK: 50, topP: 0.9, seed: 0 };

/** What a name of the plan's stands for. */
type BufferOf = (name: string) => GPUBuffer | GPUBufferBinding;

/** Whether it uses a conversation's rings. */
const isOwn = ({ layer }: Op): boolean => layer !== null;

/**
 * Allocates weights, scratch and upload buffers of the plan and compiles every kernel; reserve() allocates the cache.
 * @throws NibbleError out-of-memory, limit-exceeded, webgpu-unavailable (a kernel that does not compile)
 */
export async function createGpuExecutor(
  gpu: Gpu,
  model: ModelGraph,
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
  readonly #model: ModelGraph;
  #options: GpuExecutorOptions;
  readonly #plan: MemoryPlan;
  readonly #pipelines: Pipelines;
  readonly #buffers: PlanBuffers;
  readonly #submitter: Submitter;
  readonly #caches = new Set<GpuKvCache>();
  #adapters: StepAdapters = new Map();
  /** names of the buffers that exist for the active adapters only */
  #adapterBuffers: readonly string[] = [];
  /** of a pass, in order, what is the same for every conversation */
  readonly #shared: Record<'decode' | 'prefill', Bound[]> = { decode: [], prefill: [] };
  #lastRow: Bound[] = [];
  readonly #sampler: GpuSampler;
  readonly #decoding: Decoding;
  /** what the buffers of frequencies hold: how far the conversation reaches that they were written for */
  #reach = 0;
  /** decoding uses them up: its own are those of steps encoded ahead */
  #logits: 'none' | 'ready' | 'used' = 'none';

  constructor(gpu: Gpu, model: ModelGraph, plan: MemoryPlan, options: GpuExecutorOptions) {
    this.#gpu = gpu;
    this.#device = gpu.device;
    this.#model = model;
    this.#plan = plan;
    this.#options = options;
    this.#buffers = new PlanBuffers(gpu.device);
    this.#submitter = new Submitter(gpu);
    this.#pipelines = Pipelines.of(gpu.device);
    const { sampler } = options.shapes;
    this.#sampler = new GpuSampler(gpu.device, this.#buffers, model.spec.vocab, sampler, (ops) => this.#bind(ops));
    const [{ vocab }, { chunk }] = [model.spec, plan.request];
    const parts = { gpu, buffers: this.#buffers, submitter: this.#submitter, chunk, vocab };
    this.#decoding = new Decoding(parts, options.ahead);
    this.sink = new GpuSink(
      gpu.device,
      this.#pipelines,
      this.#buffers.get,
      plan.matrices,
      stepVectors(model.steps, model.spec),
      model.steps,
      () => this.#buffers.release(plan.buffers.flatMap(({ name, purpose }) => (purpose === 'staging' ? [name] : []))),
    );
  }

  async start(plan: MemoryPlan): Promise<void> {
    const wanted = plan.buffers.filter(({ purpose }) => purpose !== 'kv');
    // so that it is here, offline too, when weights are
    shiftPart().catch(() => {});
    this.#buffers.adopt(await this.#buffers.allocate(wanted));
    await this.#compile(this.#adapters);
    await this.#bindShared();
  }

  /** Compiling needs no buffers. */
  async #compile(adapters: StepAdapters): Promise<void> {
    const common = this.#lowerOptions(adapters);
    // Software compiles slowly: what a draw needs beyond the likeliest's, when somebody asks for it.
    const likely = this.#gpu.profile.software ? [LIKELIEST] : [LIKELIEST, DRAWN];
    const { vocab } = this.#model.spec;
    const sampler = likely.flatMap((one) => lowerSampler(vocab, common.shapes.sampler, linksOf(one, vocab)));
    const passes = [...lower(common, 'decode'), ...lower(common, 'prefill'), lowerLastRow(this.#model.spec)];
    const ops = [...passes, ...sampler];
    await Promise.all(ops.map(({ kernel }) => this.#pipelines.get(kernel)));
  }

  /** What the tuner works with, until weights are there. */
  tuneContext(): TuneContext {
    const { shapes, ...lowering } = this.#lowerOptions();
    return {
      gpu: this.#gpu,
      pipelines: this.#pipelines,
      buffer: this.#buffers.get,
      lowering,
      shapes,
      chunk: this.#plan.request.chunk,
      bind: (ops) => this.#bind(ops),
    };
  }

  /**
   * Computes with other shapes from now on. Activations are zero after, as they were made.
   * @throws webgpu-unavailable for a kernel that does not compile: then the shapes stay
   */
  async useShapes(options: GpuExecutorOptions): Promise<void> {
    const before = this.#options;
    this.#options = options;
    try {
      await this.#compile(this.#adapters);
    } catch (error) {
      this.#options = before;
      throw error;
    }
    await this.#bindShared();
    const encoder = this.#device.createCommandEncoder();
    for (const { name, purpose } of this.#plan.buffers)
      if (purpose === 'scratch') encoder.clearBuffer(this.#buffers.get(name));
    this.#device.queue.submit([encoder.finish()]);
    // frequencies are scratch, too
    this.#reach = 0;
  }

  /** Binds what reads no conversation's rings; the rest is bound when a conversation is used. */
  async #bindShared(): Promise<void> {
    const common = this.#lowerOptions();
    for (const mode of ['decode', 'prefill'] as const)
      this.#shared[mode] = await this.#bind(lower(common, mode).filter((op) => !isOwn(op)));
    this.#lastRow = await this.#bind([lowerLastRow(this.#model.spec)]);
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
    const buffer = (name: string) => cache.buffers.get(name) ?? this.#buffers.get(name);
    const [shared, own] = [this.#shared[mode].values(), await this.#bind(ops.filter(isOwn), buffer)];
    return ops.map((op) => (isOwn(op) ? own.shift() : shared.next().value) as Bound);
  }

  createCache(): KvCache {
    const cache: GpuKvCache = new GpuKvCache({
      device: this.#device,
      ledger: this.#buffers.ledger,
      pipelines: this.#pipelines,
      buffer: this.#buffers.get,
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

  #useFrequencies(reach: number): void {
    if (reach === this.#reach) return;
    this.#reach = reach;
    writeFrequencies(this.#device, this.#model.spec, reach, this.#buffers.get);
  }

  async setAdapters(active: ActiveAdapters | null): Promise<void> {
    this.#gpu.health.check();
    const model = { ...this.#model, adapted: active?.steps };
    const { adapters, buffers } = planMemory(model, this.#plan.request, this.#gpu.limits, 'webgpu');
    const always = new Set(this.#plan.buffers.map(({ name }) => name));
    const wanted = buffers.filter(({ name, purpose }) => purpose !== 'kv' && !always.has(name));
    const fresh = await this.#buffers.allocate(wanted);
    try {
      if (active) {
        const { fillAdapters } = await import('./adapters');
        await fillAdapters(this.#context(), active, adapters, fresh);
      }
      await this.#compile(adapters);
      this.#gpu.health.check();
    } catch (error) {
      this.#buffers.free(fresh);
      throw error;
    }
    this.#buffers.release(this.#adapterBuffers);
    this.#buffers.adopt(fresh);
    this.#adapterBuffers = [...fresh.keys()];
    this.#adapters = adapters;
    this.#logits = 'none';
    await this.#bindShared();
  }

  #context(): GpuContext {
    return {
      device: this.#device,
      pipelines: this.#pipelines,
      buffers: this.#buffers,
      plan: this.#plan,
      table: this.#options.shapes.matvec.table,
      read: (from, values) => this.#read(from, values),
    };
  }

  #bind(ops: readonly Op[], buffer: BufferOf = this.#buffers.get): Promise<Bound[]> {
    return Promise.all(
      ops.map(async (op) => {
        const pipeline = await this.#pipelines.get(op.kernel);
        const bound = named(op.buffers, buffer);
        return { op, pipeline, group: bindGroup(this.#device, pipeline, op.kernel, bound) };
      }),
    );
  }

  async prefill(into: KvCache, ids: ArrayLike<number>, start: number, options: PrefillOptions = {}): Promise<void> {
    checkHead(this.#model.spec);
    const { chunk } = this.#plan.request;
    const { cache, passes } = await this.#begin(into, ids, start);
    const { prefill, decode } = passes;
    const { signal, onLogits, onProgress, logits = true } = options;
    const head = beginOf(prefill, 'head');
    const layers = prefill.slice(0, beginOf(prefill, 'tail'));
    const toLogits = [...this.#lastRow, ...decode.slice(beginOf(decode, 'tail'))];
    for (const { at, pass, ends } of passesOf(this.#device, this.#buffers, chunk, { cache, ids, start })) {
      const { tokens } = pass;
      const told = () => signal?.aborted || onProgress?.(at + tokens);
      if (onLogits) {
        await this.#submitter.inPieces(prefill.slice(0, head), pass, signal);
        for (let row = 0; row < tokens; row++) {
          takeRow(this.#device, this.#buffers, row);
          await this.#submitter.inPieces(prefill.slice(head), pass, signal);
          onLogits(start + at + row, await this.#readLogits());
        }
        told();
        continue;
      }
      const asked = ends && logits;
      await this.#submitter.inPieces(layers, pass, signal, asked ? undefined : told);
      if (asked) await this.#submitter.inPieces(toLogits, { ...pass, tokens: 1 }, signal, told);
    }
    await this.#submitter.settle();
    if (logits) this.#logits = 'ready';
  }

  /** A prompt, checked, with the passes that read it; the logits that were there are no longer. */
  async #begin(into: KvCache, ids: ArrayLike<number>, start: number) {
    this.#gpu.health.check();
    const cache = this.#own(into);
    checkPrompt(ids, this.#model.spec.vocab);
    checkPosition(start + ids.length, cache.capacity);
    this.#logits = 'none';
    return { cache, passes: await this.#use(cache), ids, start };
  }

  async pool(
    texts: readonly Reading[],
    pooled: Pooled,
    { signal }: Pick<PrefillOptions, 'signal'> = {},
  ): Promise<Float32Array[]> {
    const { pool } = await import('./read-prompts');
    return pool(this.#readingParts(), await this.#beginAll(texts), pooled, signal);
  }

  async score(texts: readonly Reading[], { signal }: Pick<PrefillOptions, 'signal'> = {}): Promise<Float64Array[]> {
    checkHead(this.#model.spec);
    const { score } = await import('./read-prompts');
    return score(this.#readingParts(), await this.#beginAll(texts), signal);
  }

  async nextLogits(
    texts: readonly Reading[],
    ids: readonly number[],
    { signal }: Pick<PrefillOptions, 'signal'> = {},
  ): Promise<Float32Array[]> {
    checkHead(this.#model.spec);
    const { nextLogits } = await import('./read-prompts');
    return nextLogits(this.#readingParts(), await this.#beginAll(texts), ids, signal);
  }

  async #beginAll(texts: readonly Reading[]) {
    const begun = [];
    for (const { cache, ids, start } of texts) begun.push(await this.#begin(cache, ids, start));
    return begun;
  }

  #readingParts(): ReadingParts {
    return {
      device: this.#device,
      buffers: this.#buffers,
      submitter: this.#submitter,
      chunk: this.#plan.request.chunk,
      lowering: this.#lowerOptions(),
      lastRow: this.#lastRow,
      bind: (ops, buffer) => this.#bind(ops, buffer),
    };
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
    const passes = await this.#use(cache);
    this.#logits = 'used';
    const draws = await this.#sampler.begin(start, sample);
    yield* this.#decoding.run({ cache, passes, draws, start, count, sample }, signal);
  }

  async openStreams(most: number): Promise<Streams> {
    this.#gpu.health.check();
    checkHead(this.#model.spec);
    const { openStreams } = await import('./decode-together');
    const parts = {
      gpu: this.#gpu,
      buffers: this.#buffers,
      submitter: this.#submitter,
      spec: this.#model.spec,
      sampler: this.#options.shapes.sampler,
      chunk: this.#plan.request.chunk,
      lowering: () => this.#lowerOptions(),
      own: (cache: KvCache) => this.#own(cache),
      bind: (ops: readonly Op[], buffer: BufferOf) => this.#bind(ops, buffer),
      ahead: this.#options.ahead,
    };
    return openStreams(parts, most);
  }

  async logits(ids?: readonly number[]): Promise<Float32Array> {
    this.#gpu.health.check();
    if (this.#logits === 'none')
      throw new NibbleError('invalid-option', 'There are no logits yet; run a prompt first.');
    if (!ids) return this.#readLogits();
    const from = this.#buffers.get('logits');
    return this.#readPieces(ids.map((id, i) => ({ from, at: id * 4, to: i * 4, bytes: 4 })));
  }

  #readLogits(): Promise<Float32Array> {
    return this.#read(this.#buffers.get('logits'), this.#model.spec.vocab);
  }

  /** f32 values of a buffer. */
  #read(from: GPUBuffer, values: number): Promise<Float32Array> {
    return this.#readPieces([{ from, at: 0, to: 0, bytes: values * 4 }]);
  }

  /** f32 values of what pieces make up. */
  #readPieces(pieces: readonly Piece[]): Promise<Float32Array> {
    return readFloats(this.#device, this.#buffers.get(READBACK), pieces);
  }

  /** Runs `work` with every dispatch timed; milliseconds by kernel. null where timestamps are not allowed. */
  profile(work: () => Promise<void>): Promise<KernelProfile[] | null> {
    return this.#submitter.profile(work);
  }

  memory(): MemoryReport {
    return this.#buffers.ledger.report();
  }

  stats(): ExecutorStats {
    const { dispatches, submits } = this.#submitter;
    return { dispatches, submits, variants: { shapes: this.#options.variant, ...this.#options.chosen } };
  }

  dispose(): void {
    this.#caches.clear();
    this.#buffers.dispose();
  }
}
