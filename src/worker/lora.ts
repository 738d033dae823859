/** Adapters for a loaded model: opened, checked, and put where it computes. */
import { NibbleError } from '../errors';
import type { ScaledAdapter } from '../lora/index';
import { planMemory } from '../memory/plan';
import type { LoraDescription, LoraInfo } from '../protocol';
import { lockModel, modelKey, openStored, type StoredSource } from '../weights/stored-source';
import { checkFits, type Host, type Model, planRequest } from './open-model';

/**
 * Puts these adapters, in this order, in the place of those that were active; the weights stay where they are. What
 * the cache holds was computed otherwise, so it is forgotten. On failure nothing changes.
 * @throws invalid-option (another base, a scale that is no number), corrupt-checkpoint, unsupported-architecture,
 * out-of-memory, network, aborted
 */
export async function setLora(
  host: Host,
  model: Model,
  wanted: readonly LoraDescription[],
  signal?: AbortSignal,
): Promise<void> {
  const { steps } = model.plan;
  const open: { source: StoredSource; unlock: () => void }[] = [];
  try {
    const adapters: ScaledAdapter[] = [];
    let active = null;
    if (wanted.length > 0) {
      const { adaptableModules, combineAdapters, openAdapter } = await import('../lora/index');
      const places = adaptableModules(steps);
      for (const { source: description, scale } of wanted) {
        if (!Number.isFinite(scale)) {
          throw new NibbleError('invalid-option', `The scale of an adapter must be a number, not ${scale}.`, {
            option: 'scale',
            value: String(scale),
          });
        }
        const opened = await openKept(host, description, model.options.storage, signal);
        open.push(opened);
        const { source } = opened;
        const read = (path: string, start: number, end: number) => source.read(path, start, end, signal);
        const size = (path: string) => source.size(path, signal);
        adapters.push({ adapter: await openAdapter(source.name, places, read, size), scale });
      }
      active = combineAdapters(steps, adapters);
    }
    const plan = { ...model.plan, adapted: active?.steps };
    const request = model.reserved?.request ?? planRequest(model.options, 1, 1);
    checkFits(planMemory(plan, request, model.limits, model.target));
    await model.executor.setAdapters(active);
    for (const { source } of open) await source.markComplete();
    model.plan = plan;
    model.lora = adapters.map(infoOf);
    model.cached.ids = [];
  } finally {
    for (const { source, unlock } of open) {
      source.close?.();
      unlock();
    }
  }
}

/** Adapters are kept as models are, so that they are there without a network too. */
async function openKept(
  host: Host,
  description: LoraDescription['source'],
  storage: 'indexeddb' | 'none',
  signal: AbortSignal | undefined,
) {
  const local = description.kind === 'files' || storage === 'none';
  const { store } = local ? { store: null } : await host.openStore();
  const inner = host.openSource(description, () => {});
  let unlock = () => {};
  try {
    const key = modelKey(inner);
    if (store && !(await store.ledger.get(key))?.complete) unlock = await lockModel(key, signal);
    return { source: await openStored(inner, store, { signal }), unlock };
  } catch (error) {
    inner.close?.();
    unlock();
    throw error;
  }
}

const distinct = (values: readonly number[]): number[] => [...new Set(values)].sort((a, b) => a - b);

function infoOf({ adapter: { name, dora, modules, bytes }, scale }: ScaledAdapter): LoraInfo {
  return {
    name,
    scale,
    dora,
    modules: modules.length,
    ranks: distinct(modules.map(({ rank }) => rank)),
    scalings: distinct(modules.map(({ scaling }) => scaling * scale)),
    bytes,
  };
}
