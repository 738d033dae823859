/** From a checkpoint's tensors and a request's numbers to a memory plan, and the plan in the protocol's words. */

import type { Checkpoint } from '../checkpoint/checkpoint';
import { checkShapes } from '../checkpoint/load-weights';
import { NibbleError } from '../errors';
import type { Gpu } from '../gpu/device';
import { chooseFormats } from '../memory/formats';
import { type MemoryPlan, type ModelGraph, type PlanRequest, planMemory } from '../memory/plan';
import { forwardSteps, tensorTable } from '../model/decoder';
import { HEAD, withoutHead } from '../model/head';
import { parseSpec } from '../model/parse';
import type { ModelSpec } from '../model/spec';
import { plannedOptions } from '../options/engine';
import type { DeviceEstimate, MemoryInfo, PlanChange, PlanInfo, PlanQuery } from '../protocol';
import { completeEngineOptions } from './engine-options';
import type { Host } from './host';
import type { EffectiveEngineOptions, Model, Plannable } from './model';
import { indexBytes } from './vocabulary-index';

/** The part of the code that only talks about memory. */
const advice = () => import('../memory/advice');

type Headers = Pick<Checkpoint, 'config' | 'tensors' | 'unread' | 'modules'>;

/** What a checkpoint's config and tensors make of it. @throws corrupt-checkpoint, unsupported-architecture */
export const specOf = ({ config, tensors, unread, modules }: Headers): ModelSpec =>
  withoutHead(parseSpec(config), config, tensors.has(HEAD) || unread?.has(HEAD) === true, modules !== undefined);

/**
 * What a checkpoint's config and tensors are to compute: its spec, its steps, and the format of each matrix.
 * @throws corrupt-checkpoint, unsupported-architecture, invalid-option (a name to keep that is in none)
 */
export function graphOf(
  checkpoint: Headers,
  { weights, keep }: Pick<EffectiveEngineOptions, 'weights' | 'keep'>,
): ModelGraph {
  const spec = specOf(checkpoint);
  const needed = tensorTable(spec);
  checkShapes(checkpoint, needed);
  const matrices = needed.filter(({ kind }) => kind === 'matrix').map(({ name }) => name);
  return { spec, steps: forwardSteps(spec), formats: chooseFormats(checkpoint.tensors, matrices, weights, keep) };
}

/** The one way to a plan request: the engine's options with a request's numbers. */
export function planRequest(options: EffectiveEngineOptions, promptTokens: number, maxNewTokens: number): PlanRequest {
  const { kv, memoryBudget, kvCapacity, maxContext, chunk, snapshots, threads, activations } = options;
  const sizes = { promptTokens, maxNewTokens, kvCapacity, maxContext, chunk, snapshots, threads };
  return { ...sizes, kvType: kv, budget: memoryBudget, int8: activations === 'int8' };
}

/** The model with a shorter context, for one conversation. @throws invalid-option for what is no number of tokens */
export function within(model: Model, asked: number | undefined): Model {
  const { maxContext } = completeEngineOptions({ maxContext: asked });
  const { options } = model;
  return { ...model, options: { ...options, maxContext: Math.min(options.maxContext, maxContext ?? Infinity) } };
}

/** @param more what is asked beside an answer alone */
export function planFor(
  model: Plannable,
  promptTokens: number,
  maxNewTokens: number,
  snapshots = model.options.snapshots,
  more: Pick<PlanRequest, 'streams' | 'texts' | 'tells'> = {},
): MemoryPlan {
  const request = { ...planRequest(model.options, promptTokens, maxNewTokens), snapshots, ...more };
  return planMemory(model.graph, request, model.limits, model.target);
}

/** Tokens that a GPU reads at once: fewer leave large ones idle, and more take memory and are long unheard of. */
const GPU_CHUNK = 256;

/**
 * The model with chunks for its GPU, where `asked` is auto and the budget has room for its whole context with them.
 * A software adapter computes no faster in larger ones.
 */
export function withChunk<M extends Plannable>(model: M, asked: number | 'auto', gpu: Pick<Gpu, 'profile'> | null): M {
  if (asked !== 'auto' || !gpu || gpu.profile.software) return model;
  const options = { ...model.options, chunk: GPU_CHUNK };
  const { kvCapacity } = options;
  const whole = typeof kvCapacity === 'number' ? kvCapacity : 'full';
  const request = { ...planRequest(options, 1, 1), kvCapacity: whole } as const;
  return planMemory(model.graph, request, model.limits, model.target).fits ? { ...model, options } : model;
}

/** The plan's request with a change. */
function replan(model: Plannable, { request }: MemoryPlan, { kv, weights, ...numbers }: PlanChange): MemoryPlan {
  const changed = { ...request, ...numbers, kvType: kv ?? request.kvType };
  return planMemory(weights ? graphWith(model, weights) : model.graph, changed, model.limits, model.target);
}

/** The graph as it would be with another choice of weights. */
function graphWith({ graph, checkpoint, options }: Plannable, weights: EffectiveEngineOptions['weights']): ModelGraph {
  return { ...graph, formats: chooseFormats(checkpoint.tensors, graph.formats.keys(), weights, options.keep) };
}

/** What memory is told for: a question and an answer or two, or as much of that as is allowed. */
export function shortChat({ maxContext, kvCapacity }: EffectiveEngineOptions) {
  const most = typeof kvCapacity === 'number' ? kvCapacity : Number.POSITIVE_INFINITY;
  const tokens = Math.min(384, maxContext, most);
  const half = Math.max(1, Math.floor(tokens / 2));
  return { tokens, promptTokens: half, maxNewTokens: half };
}

/**
 * @param wanted what the plan is the least of; in the error, `enough` is the budget under which that fits
 * @throws out-of-memory with the plan's numbers and what would fit
 */
export async function checkFits(model: Plannable, plan: MemoryPlan, wanted = () => plan): Promise<void> {
  if (plan.fits) return;
  const { weights, kv, scratch, staging, peak, request } = plan;
  const { shortfall, suggest } = await advice();
  const suggestions = suggest(plan, (change) => replan(model, plan, change)).map(({ text }) => text);
  const message = `${shortfall(plan)} ${suggestions[0]}`;
  const budget = request.budget;
  const enough = Math.max(peak, wanted().peak);
  throw new NibbleError('out-of-memory', message, { weights, kv, scratch, staging, peak, enough, budget, suggestions });
}

/** The model with what the query supposes. @throws invalid-option */
function suppose(
  model: Plannable,
  { memoryBudget, ...given }: Omit<PlanQuery, 'promptTokens' | 'maxNewTokens' | 'conversation' | 'constrained'>,
): Plannable {
  const names = Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  const unknown = names.find((name) => !Object.hasOwn(plannedOptions(), name));
  if (unknown) throw new NibbleError('invalid-option', `plan() knows no ${unknown}.`, { option: unknown });
  const checked = completeEngineOptions({ ...given, memoryBudget: memoryBudget ?? undefined });
  const picked = Object.fromEntries(names.map((name) => [name, checked[name as keyof typeof checked]]));
  const options: EffectiveEngineOptions = { ...model.options, ...picked };
  if (checked.chunk === 'auto') options.chunk = model.options.chunk;
  if (memoryBudget !== undefined) options.memoryBudget = memoryBudget;
  return { ...model, options, graph: given.weights ? graphWith(model, options.weights) : model.graph };
}

/**
 * What a request would take, were the model loaded as the query supposes.
 * @throws invalid-option for what is no number of tokens or bytes, context-overflow
 */
export async function planInfo(model: Plannable, query: PlanQuery): Promise<PlanInfo> {
  const { promptTokens, maxNewTokens, conversation = 0, constrained = false, ...given } = query;
  const supposed = suppose(model, given);
  const plan = planFor(supposed, promptTokens, maxNewTokens);
  const { weights, kv, scratch, staging, total, peak, fits } = plan;
  const offers = fits ? [] : (await advice()).suggest(plan, (change) => replan(supposed, plan, change));
  return {
    weights,
    kv,
    kvByLayer: plan.kvByLayer.map(({ kind, slots, bytes }) => ({ kind, slots, bytes })),
    kvFullContext: kvFullContext(supposed),
    scratch,
    staging,
    index: constrained ? (await import('./constrain')).indexOf(model) : indexBytes((model as Partial<Model>).tokenizer),
    total,
    peak,
    peakNow: model.sequences?.peak(conversation, plan) ?? null,
    fits,
    suggestions: offers.map(({ text }) => text),
    offers,
  };
}

/** KV bytes of the model's full context. */
function kvFullContext({ graph, options, limits, target }: Plannable): number {
  const full = {
    ...planRequest(options, 1, 1),
    kvCapacity: 'full',
    maxContext: null,
    budget: null,
    snapshots: 0,
  } as const;
  return planMemory(graph, full, limits, target).kv;
}

/** What is allocated now, beside what the model's full context would have taken. */
export function memoryInfo(model: Model): MemoryInfo {
  const slots = (kind: 'global' | 'sliding') =>
    model.sequences.latest?.plan?.kvByLayer.find((layer) => layer.kind === kind)?.slots ?? null;
  return {
    ...model.executor.memory(),
    index: indexBytes(model.tokenizer),
    conversations: model.sequences.count,
    kvFullContext: kvFullContext(model),
    kvSlots: { global: slots('global'), sliding: slots('sliding') },
  };
}

/** What this device probably allows. @param touch of the page's screen */
export async function deviceEstimate(
  { machine }: Pick<Host, 'machine'>,
  gpu: Gpu | null,
  touch = false,
): Promise<DeviceEstimate> {
  const { estimateDevice } = await advice();
  const facts = { memory: null, userAgent: '', ...machine, touch };
  return estimateDevice(facts, gpu && { ...gpu.adapter, maxBufferSize: gpu.limits.maxBufferSize });
}
