/** Adapters for a loaded model: opened, checked, and put where it computes. */

import { refusalOf } from '../checkpoint/open-checkpoint';
import { NibbleError } from '../errors';
import type { DenseType, MatrixFormat } from '../formats/matrix';
import { openAdapters, type WantedAdapter } from '../lora/index';
import { makingBytes } from '../memory/adapted';
import { sameFormat } from '../memory/layout';
import { type MemoryPlan, type PlanRequest, planMemory } from '../memory/plan';
import type { LoraDescription } from '../protocol';
import { isChange } from '../sources/versions';
import { openStored, type StoredSource } from '../store/stored-source';
import { CHANGES, changeBehind, dropUnusable } from './changing-files';
import { keepFirst } from './fingerprint';
import type { Host } from './host';
import type { Fingerprint, Model } from './model';
import { checkFits, planRequest } from './planning';

/**
 * Puts these adapters, in this order, in the place of those that were active; the weights stay where they are. What the
 * caches hold was computed otherwise, so it is forgotten; under the budget, caches make room for new and old adapters
 * side by side. On failure nothing changes, unless bytes prove altered after they were placed: then no adapter is
 * active.
 * @throws invalid-option (another base, a scale that is no number), corrupt-checkpoint, unsupported-architecture,
 * out-of-memory, network, aborted
 */
export async function setLora(
  host: Host,
  model: Model,
  wanted: readonly LoraDescription[],
  signal?: AbortSignal,
): Promise<void> {
  for (let changes = 0; ; changes++) {
    try {
      return await trySetLora(host, model, wanted, signal);
    } catch (error) {
      if (!isChange(error) || changes === CHANGES) throw error;
    }
  }
}

async function trySetLora(
  host: Host,
  model: Model,
  wanted: readonly LoraDescription[],
  signal?: AbortSignal,
): Promise<void> {
  const sources: StoredSource[] = [];
  try {
    for (const { source } of wanted) sources.push(await openKept(host, source, model.options.storage, signal));
    const fingerprint: Fingerprint = new Map();
    const files = sources.map((source, i) => filesOf(source, wanted[i].scale, `${i}`, fingerprint, signal));
    const opened = files.length > 0 ? await openAdapters(model.graph, files, formatOf(model)) : null;
    await checkRoom(model, opened?.active ?? null);
    await model.executor.setAdapters(opened?.active ?? null);
    try {
      for (const source of sources) await source.markComplete();
    } catch (error) {
      await model.executor.setAdapters(null);
      activate(model, null, new Map());
      throw error;
    }
    activate(model, opened, fingerprint);
  } catch (thrown) {
    let error = thrown;
    for (const source of sources) error = (await changeBehind(source, error)) ?? refusalOf(source, error) ?? error;
    for (const source of sources) await dropUnusable(source, error);
    throw error;
  } finally {
    for (const source of sources) await source.close();
  }
}

type Opened = Awaited<ReturnType<typeof openAdapters>>;

/**
 * An adapter's files, of which the first bytes of every slice that is read are noted.
 * @param index what sets its slices apart from those of other adapters
 */
const filesOf = (
  source: StoredSource,
  scale: number,
  index: string,
  fingerprint: Fingerprint,
  signal: AbortSignal | undefined,
): WantedAdapter => ({
  name: source.name,
  scale,
  async read(path, start, end) {
    const bytes = await source.read(path, start, end, signal);
    // how strongly an adapter acts stands anywhere in its config
    keepFirst(fingerprint, `${index} ${path} ${start}`, bytes, path.endsWith('.json') ? bytes.length : undefined);
    return bytes;
  },
  size: (path) => source.size(path, signal),
});

/** @throws out-of-memory where these adapters do not fit, or not beside the old ones */
async function checkRoom(model: Model, active: Opened['active'] | null): Promise<void> {
  const graph = { ...model.graph, adapted: active?.steps };
  // how long the next question is, it will say itself
  const request = planRequest(model.options, 1, 1);
  const plan = planMemory(graph, request, model.limits, model.target);
  await checkFits({ ...model, graph }, plan);
  makeRoom(model, plan, request);
}

/** From here on the model is one with these adapters, or with none: what its caches hold was computed otherwise. */
function activate(model: Model, opened: Opened | null, fingerprint: Fingerprint): void {
  model.graph = { ...model.graph, adapted: opened?.active.steps };
  model.lora = opened?.infos ?? [];
  model.loraFingerprint = fingerprint;
  model.sequences.forget();
}

/** What an adapter brings whole is made of less, or more, where the model's own tensor was; else it stays as it is. */
const formatOf =
  ({ graph, checkpoint }: Model) =>
  (tensor: string, own: DenseType): MatrixFormat => {
    const [made, stored] = [graph.formats.get(tensor), checkpoint.tensors.get(tensor)?.format];
    return made && stored && !sameFormat(made, stored) ? made : { type: own };
  };

/**
 * The old adapters leave when the new ones are there. @throws out-of-memory where the budget has no room for both, and
 * for what the new ones are made from
 */
function makeRoom({ graph, limits, target, sequences }: Model, plan: MemoryPlan, request: PlanRequest): void {
  const budget = request.budget ?? Number.POSITIVE_INFINITY;
  const bytes = ({ weights, scratch }: MemoryPlan) => weights + scratch;
  const now = bytes(planMemory(graph, request, limits, target));
  const without = bytes(planMemory({ ...graph, adapted: undefined }, request, limits, target));
  const making = target === 'webgpu' ? makingBytes(plan.adapters, plan.staging) : 0;
  const needed = now + bytes(plan) - without + making;
  // where no cache that goes would help, none does
  if (needed <= budget && sequences.shrink(budget - needed)) return;
  const text = `Until they are ready, new adapters take ${needed} bytes with the weights and the old ones, and the budget is ${budget}: take the old ones away first, with setLora([]), or allow more.`;
  throw new NibbleError('out-of-memory', text, { needed, budget });
}

/**
 * Adapters are kept as models are, so that they are there without a network too. Unlike them without a lock: of several
 * adapters each tab would hold one and wait for the other, and they are small.
 */
async function openKept(
  host: Host,
  description: LoraDescription['source'],
  storage: Model['options']['storage'],
  signal: AbortSignal | undefined,
): Promise<StoredSource> {
  const local = description.kind === 'files' || storage === 'none';
  const { store } = local ? { store: null } : await host.openStore();
  const inner = await host.openSource(description, () => {});
  return openStored(inner, store, { signal }).catch((error) => {
    inner.close?.();
    throw error;
  });
}
