/**
 * The memory plan: one pure function turns (model, request, limits, budget) into a list of every buffer that will
 * exist, and one place (execute/) allocates from it. Every entry point goes through both. Bytes everywhere.
 *
 * The KV formula is 2 * kvHeads * headSize * bytes * slots a layer (kv.ts); slots are
 * prompt + new - 1 for global layers and min(that, window + chunk - 1) for sliding ones (ring.ts), rounded up to a
 * tile.
 */
import { NibbleError } from '../errors';
import type { MatrixFormat } from '../formats/matrix';
import type { ModelSpec } from '../model/spec';
import type { Step, StepOf } from '../model/steps';
import { ENGINE_OPTIONS } from '../options/engine';
import { type AdaptedStep, LORA_BUFFER, planAdapters, type StepAdapters, wholeTensors } from './adapted';
import { type BankPlan, planBanks } from './cpu-banks';
import { cpuScratch, cpuStreams } from './cpu-scratch';
import {
  gpuScratch,
  INT8_BUFFER,
  int8Bytes,
  LOGPROB_BUFFERS,
  loadingBuffers,
  STREAM_LOGITS,
  streamBuffers,
  textBuffers,
  tokenBuffers,
} from './gpu-scratch';
import { KV_TILE, type KvCapacity, type KvLayerPlan, type KvType, kvLayer, layerBuffers } from './kv';
import {
  CHUNK_COLUMNS,
  type DeviceMatrix,
  deviceMatrices,
  type LayoutTarget,
  type MatrixBytes,
  matrixBuffers,
  roundUp,
  wholeChunks,
} from './layout';

export interface PlanRequest {
  promptTokens: number;
  maxNewTokens: number;
  kvType: KvType;
  kvCapacity: KvCapacity;
  /** caps the conversation, tokens; null = the model's context */
  maxContext: number | null;
  /** prefill chunk, tokens */
  chunk: number;
  /** bytes, or null for no limit but the device's */
  budget: number | null;
  /** copies of the sliding rings that a conversation may keep, to be taken back to */
  snapshots: number;
  /** of the CPU, which compute at once; absent: one */
  threads?: number;
  /** whether answers may change the logits of single tokens (bias, mask); absent: no */
  adjusts?: boolean;
  /** whether a prompt's products may have inputs of int8, on the GPU; absent: no */
  int8?: boolean;
  /** whether answers may tell log-probabilities; absent: no */
  tells?: boolean;
  /** how many answers may be decoded together; absent: one at a time */
  streams?: number;
  /** how many texts may be read in one pass; absent: one */
  texts?: number;
}

/** What of the device's limits the plan depends on. */
export interface PlanLimits {
  maxBufferSize: number;
  maxStorageBufferBindingSize: number;
}

/** WebGPU's default limits (spec §3.6.2): what every device has. */
export const DEFAULT_LIMITS: PlanLimits = { maxBufferSize: 256 << 20, maxStorageBufferBindingSize: 128 << 20 };

/** The CPU's arrays have none. */
export const NO_LIMITS: PlanLimits = {
  maxBufferSize: Number.MAX_SAFE_INTEGER,
  maxStorageBufferBindingSize: Number.MAX_SAFE_INTEGER,
};

/** What a model computes, and in which formats: all that a plan, and an executor, needs to know of it. */
export interface ModelGraph {
  spec: ModelSpec;
  steps: readonly Step[];
  /** by tensor name; every matrix that a step names must be here */
  formats: ReadonlyMap<string, MatrixFormat>;
  /** what the active adapters add to the steps; absent: none is active */
  adapted?: readonly AdaptedStep[];
}

/** One GPUBuffer (or typed array on the CPU): created exactly once, with exactly these bytes. */
export interface BufferPlan {
  name: string;
  purpose: 'weights' | 'kv' | 'scratch' | 'staging';
  bytes: number;
}

export interface MemoryPlan {
  request: PlanRequest;
  /** positions that the cache can hold */
  contextTokens: number;
  kvByLayer: KvLayerPlan[];
  /** by linear step or embedding table, in use order; a tied head shares its table's */
  matrices: DeviceMatrix[];
  /** of the CPU: where the matrices lie; none on the GPU */
  banks: readonly BankPlan[];
  /** the active adapters' own matrices, which count as weights */
  adapters: StepAdapters;
  buffers: BufferPlan[];
  weights: number;
  kv: number;
  scratch: number;
  /** upload buffers: they exist only while weights load */
  staging: number;
  /** weights + kv + scratch */
  total: number;
  /** the most that exists at once: weights + scratch + max(staging, kv) */
  peak: number;
  fits: boolean;
  /** the largest buffer, where it is more than the device binds: then no budget helps */
  tooLarge: { name: string; bytes: number; limit: number } | null;
}

/** Tokens the conversation may reach: the model's context, or less when asked. */
export function contextLimit(spec: ModelSpec, request: Pick<PlanRequest, 'maxContext'>): number {
  return Math.min(spec.contextLength, request.maxContext ?? spec.contextLength);
}

/**
 * @throws NibbleError invalid-option for numbers that are no sizes; context-overflow when prompt + new tokens exceed
 * the context or a fixed capacity
 */
export function planMemory(
  model: ModelGraph,
  request: PlanRequest,
  limits: PlanLimits,
  target: LayoutTarget,
): MemoryPlan {
  checkRequest(request);
  const { spec } = model;
  const contextTokens = plannedContext(spec, request);
  const maxKvBytes = target === 'webgpu' ? bindingLimit(limits) : Number.POSITIVE_INFINITY;
  const kvByLayer = spec.layers.map((_, layer) => kvLayer(spec, layer, contextTokens, request, maxKvBytes));
  const matrices = planMatrices(model, limits, target);
  const sizes = () => cpuScratch(spec, model.steps, request.chunk, 0);
  const banks = target === 'cpu' ? planBanks(matrices, { spec, sizes: sizes(), threads: request.threads ?? 1 }) : [];
  const adapters = planAdapters(model.steps, model.adapted ?? [], bindingLimit(limits), target);
  const buffers = [
    ...weightBuffers(matrices),
    ...vectorBuffers(model.steps, spec),
    ...adapterBuffers(adapters),
    ...kvByLayer.flatMap(layerBuffers).map((buffer) => ({ ...buffer, purpose: 'kv' as const })),
    ...scratchBuffers(model, request, matrices, adapters, target),
    ...banks.map(({ rest }, i) => ({ name: `cpu.bank.${i}`, purpose: 'scratch' as const, bytes: rest })),
    ...(target === 'webgpu'
      ? loadingBuffers(request.int8 ?? false).map(([name, bytes]) => ({ name, purpose: 'staging' as const, bytes }))
      : []),
  ];
  const sum = (purpose: BufferPlan['purpose']) =>
    buffers.reduce((bytes, buffer) => bytes + (buffer.purpose === purpose ? buffer.bytes : 0), 0);
  const [weights, kv, scratch, staging] = [sum('weights'), sum('kv'), sum('scratch'), sum('staging')];
  const total = weights + kv + scratch;
  const peak = weights + scratch + Math.max(staging, kv);
  const largest = buffers.reduce((a, b) => (b.bytes > a.bytes ? b : a));
  const limit = bindingLimit(limits);
  const tooLarge =
    target === 'webgpu' && largest.bytes > limit ? { name: largest.name, bytes: largest.bytes, limit } : null;
  return {
    request,
    contextTokens,
    kvByLayer,
    matrices,
    banks,
    adapters,
    buffers,
    weights,
    kv,
    scratch,
    staging,
    total,
    peak,
    fits: tooLarge === null && (request.budget === null || peak <= request.budget),
    tooLarge,
  };
}

function checkRequest(request: PlanRequest): void {
  const sizes: [string, number | null, number, number?][] = [
    ['promptTokens', request.promptTokens, 0],
    ['maxNewTokens', request.maxNewTokens, 1],
    ['maxContext', request.maxContext, 1],
    ['chunk', request.chunk, 1],
    ['kvCapacity', typeof request.kvCapacity === 'number' ? request.kvCapacity : null, 1],
    ['budget', request.budget, 1],
    ['snapshots', request.snapshots, 0, ENGINE_OPTIONS.snapshots.most],
    ['threads', request.threads ?? null, 1, ENGINE_OPTIONS.threads.most],
  ];
  for (const [name, value, least, most = Number.MAX_SAFE_INTEGER] of sizes) {
    const absent = value === null && name !== 'promptTokens' && name !== 'maxNewTokens';
    if (!absent && (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most)) {
      const range = most < Number.MAX_SAFE_INTEGER ? `from ${least} to ${most}` : `of at least ${least}`;
      throw new NibbleError('invalid-option', `${name} must be a whole number ${range}, not ${value}.`, {
        name,
        value,
      });
    }
  }
}

/** Positions that a request reaches; the last new token is never written to the cache. */
export const reachedTokens = ({ promptTokens, maxNewTokens }: PlanRequest): number =>
  Math.max(1, promptTokens + maxNewTokens - 1);

function plannedContext(spec: ModelSpec, request: PlanRequest): number {
  const limit = contextLimit(spec, request);
  const need = reachedTokens(request);
  const capacity = typeof request.kvCapacity === 'number' ? Math.min(request.kvCapacity, limit) : limit;
  if (need > capacity) {
    throw new NibbleError(
      'context-overflow',
      `${request.promptTokens} prompt tokens and ${request.maxNewTokens} new ones need ${need} cache slots; ${capacity} are allowed. ` +
        "Shorten the prompt, ask for fewer new tokens, raise maxContext or kvCapacity, or take overflow 'shift'.",
      {
        promptTokens: request.promptTokens,
        maxNewTokens: request.maxNewTokens,
        need,
        capacity,
        contextLength: spec.contextLength,
      },
    );
  }
  if (request.kvCapacity === 'full') return limit;
  if (typeof request.kvCapacity === 'number') return capacity;
  return Math.min(roundUp(need, KV_TILE), roundUp(limit, KV_TILE));
}

const bindingLimit = (limits: PlanLimits): number => Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);

function formatOf(model: ModelGraph, name: string): MatrixFormat {
  const format = model.formats.get(name);
  if (!format)
    throw new NibbleError('corrupt-checkpoint', `The checkpoint has no tensor ${name}, which the model needs.`, {
      name,
    });
  return format;
}

/** Every matrix once, in the order of first use. */
function planMatrices(model: ModelGraph, limits: PlanLimits, target: LayoutTarget): DeviceMatrix[] {
  const binding = bindingLimit(limits);
  const seen = new Set<string>();
  return model.steps.flatMap((step) => {
    const linear: Pick<StepOf<'linear'>, 'parts' | 'cols'> | null =
      step.op === 'linear'
        ? step
        : step.op === 'embed'
          ? { parts: [{ name: step.table, rows: step.rows, bias: null }], cols: step.width }
          : null;
    if (!linear || seen.has(linear.parts[0].name)) return [];
    for (const part of linear.parts) seen.add(part.name);
    return deviceMatrices(linear, (name) => formatOf(model, name), binding, target);
  });
}

function weightBuffers(matrices: readonly DeviceMatrix[]): BufferPlan[] {
  return matrices.flatMap((matrix) =>
    Object.entries(matrixBuffers(matrix)).map(([kind, name]) => ({
      name,
      purpose: 'weights' as const,
      bytes: matrix.bytes[kind as keyof MatrixBytes],
    })),
  );
}

function adapterBuffers(adapters: StepAdapters): BufferPlan[] {
  const vector = (name: string, length: number) =>
    ({ name, purpose: 'weights', bytes: wholeChunks(length) * 4 }) as const;
  const { matrices, vectors } = wholeTensors(adapters);
  return [
    ...weightBuffers(matrices),
    ...vectors.map(({ name, cols }) => vector(name, cols)),
    ...[...adapters.values()].flatMap(({ a, b, biases }) => [
      ...weightBuffers([...a, ...b]),
      ...(biases ? [vector(biases.buffer, biases.length)] : []),
    ]),
  ];
}

/** Vectors (norm weights, biases) by name and length; f32, padded to a chunk so that kernels may read whole words. */
export function stepVectors(steps: readonly Step[], spec: ModelSpec): Map<string, number> {
  const lengths = new Map<string, number>();
  for (const step of steps) {
    if (step.op === 'norm') lengths.set(step.weight, step.width);
    if (step.op === 'linear') for (const part of step.parts) if (part.bias) lengths.set(part.bias, part.rows);
    if (step.op === 'rotate') {
      const heads = step.normOver === 'head' ? [1, 1] : [spec.heads, spec.kvHeads];
      if (step.qNorm) lengths.set(step.qNorm, heads[0] * spec.headSize);
      if (step.kNorm) lengths.set(step.kNorm, heads[1] * spec.headSize);
    }
  }
  return lengths;
}

/** The biases of a linear step are one buffer, stacked like its rows. */
export const biasBuffer = (step: StepOf<'linear'>): string | null =>
  step.parts.some((part) => part.bias) ? `${step.parts[0].name}.biases` : null;

function vectorBuffers(steps: readonly Step[], spec: ModelSpec): BufferPlan[] {
  const biases = new Set(steps.flatMap((step) => (step.op === 'linear' ? step.parts.map((part) => part.bias) : [])));
  const stacked = steps.flatMap((step): [string, number][] => {
    const name = step.op === 'linear' ? biasBuffer(step) : null;
    return name && step.op === 'linear' ? [[name, step.parts.reduce((rows, part) => rows + part.rows, 0)]] : [];
  });
  const single = [...stepVectors(steps, spec)].filter(([name]) => !biases.has(name));
  return [...single, ...stacked].map(([name, length]) => ({
    name,
    purpose: 'weights',
    bytes: wholeChunks(length) * 4,
  }));
}

/** Widths of the activation buffers that the steps use, f32 values a token. */
export function activationWidths(model: ModelGraph): Map<string, number> {
  const { spec, steps } = model;
  const widths = new Map<string, number>([['x', spec.width]]);
  const sizes = {
    h: spec.width,
    qkv: (spec.heads + 2 * spec.kvHeads) * spec.headSize,
    attn: spec.heads * spec.headSize,
    o: spec.width,
    gateUp: 2 * spec.mlpWidth,
    mlp: spec.mlpWidth,
  } as const;
  for (const step of steps) {
    for (const name of ['in' in step ? step.in : null, 'out' in step ? step.out : null]) {
      if (name && name in sizes) widths.set(name, sizes[name as keyof typeof sizes]);
    }
  }
  widths.set('qkv', sizes.qkv);
  return widths;
}

/** Whether gate and up are one device matrix, whose kernel applies the activation itself. */
export function gateUpFused(matrices: readonly DeviceMatrix[], spec: ModelSpec, gate: string): boolean {
  const matrix = matrices.find((m) => m.parts[0].tensor === gate);
  return matrix !== undefined && matrix.outputRow === 0 && matrix.rows === 2 * spec.mlpWidth;
}

function scratchBuffers(
  model: ModelGraph,
  { chunk, adjusts, tells, int8, streams = 0, texts = 1 }: PlanRequest,
  matrices: readonly DeviceMatrix[],
  adapters: StepAdapters,
  target: LayoutTarget,
): BufferPlan[] {
  const { spec, steps } = model;
  const scratch = (name: string, bytes: number): BufferPlan => ({ name, purpose: 'scratch', bytes });
  const widths = activationWidths(model);
  const gateUps = steps.filter((step): step is StepOf<'linear'> => step.op === 'linear' && step.out === 'gateUp');
  const fused = (step: StepOf<'linear'>) =>
    !adapters.has(step) && !biasBuffer(step) && gateUpFused(matrices, spec, step.parts[0].name);
  if (target === 'webgpu' && gateUps.every(fused)) widths.delete('gateUp');
  const rank = Math.max(0, ...[...adapters.values()].map((adapter) => adapter.rank));
  if (rank > 0) widths.set(LORA_BUFFER, rank);
  const buffers = [...widths].map(([name, width]) => scratch(name, (roundUp(chunk * width, 4) + CHUNK_COLUMNS) * 4));
  buffers.push(scratch('logits', spec.vocab * 4));
  if (target === 'cpu') {
    const arrays = Object.entries(cpuScratch(spec, steps, chunk, rank));
    if (streams > 0) buffers.push(scratch(STREAM_LOGITS, cpuStreams(streams, chunk) * spec.vocab * 4));
    return [...buffers, ...arrays.map(([name, elements]) => scratch(`cpu.${name}`, elements * 8))];
  }
  const asked = [...(adjusts ? tokenBuffers(spec.vocab) : []), ...(tells ? LOGPROB_BUFFERS : [])];
  const together = streams > 0 ? streamBuffers(spec, Math.min(streams, chunk)) : [];
  const packed = texts > 1 ? textBuffers(spec, texts) : [];
  const own = [...gpuScratch(spec, chunk), ...asked, ...together, ...packed];
  if (int8) {
    const columns = steps.map((step) => (step.op === 'linear' && !step.lastOnly ? step.cols : 0));
    own.push([INT8_BUFFER, int8Bytes(chunk, Math.max(...columns))]);
  }
  return [...buffers, ...own.map(([name, bytes]) => scratch(name, bytes))];
}
