/**
 * Which kernels a model is computed with on a real GPU: what the device's profile suggests, or what an earlier load of
 * the model has found to be the fastest here; checked at each load, and timed where nothing is known, while weights
 * arrive.
 *
 * Software adapters have one set of shapes, come with the browser, and take longer to compile a kernel than to run it:
 * there nothing is tried.
 *
 * What is known is kept by what a browser tells of the device. It does not tell the driver, which may change what a
 * kernel computes, so it is never taken unchecked.
 */
import type { NibbleError } from '../errors';
import type { GpuExecutor } from '../execute/gpu/executor';
import { type Choice, type TuneResult, tune } from '../execute/gpu/tune/tune';
import { levelsOf } from '../formats/matrix';
import { type Gpu, WANTED_LIMITS } from '../gpu/device';
import { type Activations, type Candidate, candidatesFor, TUNED_ROLES, withCandidates } from '../kernels/candidates';
import type { MemoryPlan } from '../memory/plan';
import type { ModelStore } from '../store/chunk-store';

/** What is known of a device. */
interface TuningRecord {
  /** names of variants that are not to be used, and why */
  rejected: Record<string, string>;
  /** the variant that is being tried: one that is left here may have taken the device with it, or the tab was closed */
  trying: string;
  /** how often it was left so */
  left: number;
  /** by the sizes and formats of a model's matrices */
  models: Record<string, Choice>;
}

/** A variant that is left so often is not tried again. */
const MOST_LEFT = 2;

/** Models that are known of a device at most; the oldest are forgotten. */
const MOST_MODELS = 32;

/** Compiling and timing take so long at most, ms. */
const TUNE_MS = 3000;

/** What kernels mean; another number where a name comes to mean another kernel. */
const FORMAT = 1;

/** What a browser tells of a device. */
function deviceKey({ adapter, features, limits }: Gpu, userAgent: string): string {
  const { vendor, architecture, device, description } = adapter;
  const bounds = WANTED_LIMITS.map((name) => limits[name]);
  const names = [vendor, architecture, device, description, [...features].sort().join()];
  return JSON.stringify([FORMAT, ...names, bounds, userAgent]);
}

/** Sizes and formats of a model's matrices, and what shapes there are: what the best follow from. */
function modelKey({ matrices }: MemoryPlan, activations: Activations): string {
  const kinds = new Set(
    matrices.map(({ rows, cols, format }) =>
      [`${rows}x${cols}`, format.type, 'block' in format && format.block, levelsOf(format)].filter(Boolean).join(' '),
    ),
  );
  return [...[...kinds].sort(), ...(activations === 'auto' ? [] : [activations])].join(', ');
}

const nothing = (): TuningRecord => ({ rejected: {}, trying: '', left: 0, models: {} });

const isText = (value: unknown): value is string => typeof value === 'string';

/** What is kept, or nothing known where that is damaged or of another version. */
function readRecord(kept: unknown): TuningRecord {
  const { rejected, trying, left, models } = (kept ?? {}) as Partial<TuningRecord>;
  const isRecord = (value: unknown) => typeof value === 'object' && value !== null;
  if (!isRecord(rejected) || !Object.values(rejected).every(isText)) return nothing();
  if (!isText(trying) || typeof left !== 'number' || !isRecord(models)) return nothing();
  return { rejected, trying, left, models };
}

/** Of a kept choice, what names shapes that there are. */
function readChoice(kept: unknown, candidates: readonly Candidate[]): Choice {
  const choice: Choice = {};
  for (const role of TUNED_ROLES) {
    const { name, ms } = ((kept as Choice | undefined)?.[role] ?? {}) as { name?: unknown; ms?: unknown };
    if (!candidates.some((one) => one.role === role && one.name === name)) continue;
    choice[role] = typeof ms === 'number' && ms > 0 ? { name: name as string, ms } : { name: name as string };
  }
  return choice;
}

/**
 * Checks and times kernels, has the executor use the best of them, and keeps what was found.
 * @param store null: nothing is remembered
 * @param userAgent the browser's, '' in Node
 * @param signal ends it; what it did not get to keeps the profile's choice
 * @throws what tune() does
 */
export async function chooseKernels(
  gpu: Gpu,
  executor: GpuExecutor,
  plan: MemoryPlan,
  activations: Activations,
  store: ModelStore | null,
  userAgent: string,
  signal: AbortSignal,
): Promise<TuneResult> {
  const key = deviceKey(gpu, userAgent);
  const record = readRecord(await store?.tuning.get(key).catch(() => undefined));
  // a store that fails is no reason not to load
  const keep = async () => void (await store?.tuning.put(key, record).catch(() => {}));
  const { trying: was, left } = record;
  if (was && left >= MOST_LEFT)
    record.rejected = { ...record.rejected, [was]: `It was being tried when ${left} loads ended.` };
  const context = executor.tuneContext();
  const { headless } = context.lowering.model.spec;
  const candidates = candidatesFor(gpu.profile, { activations, headless });
  const model = modelKey(plan, activations);
  const onTry = async (variant: string) => {
    record.trying = variant;
    record.left = variant && variant === was ? left + 1 : 1;
    await keep();
  };
  const request = { candidates, rejected: record.rejected, limit: TUNE_MS, signal, onTry };
  const known = readChoice(record.models[model], candidates);
  const result = await tune(context, { ...request, known }).catch(async (error) => {
    // the device is lost: not by what is known to be good
    if ((error as NibbleError).code === 'device-lost' && record.trying) {
      const why = `The graphics device was lost while it was tried (${(error as NibbleError).message})`;
      record.rejected = { ...record.rejected, [record.trying]: why };
      record.trying = '';
      await keep();
    }
    throw error;
  });
  const { chosen, choice, rejected } = result;
  delete record.models[model];
  record.models = Object.fromEntries([...Object.entries(record.models).slice(1 - MOST_MODELS), [model, choice]]);
  record.rejected = rejected;
  record.trying = '';
  record.left = 0;
  await keep();
  await executor.useShapes({
    variant: executor.stats().variants.shapes,
    shapes: withCandidates(context.shapes, chosen),
    chosen: Object.fromEntries(chosen.map(({ role, name }) => [role, name])),
  });
  return result;
}
