/**
 * What would fit, best first, where a plan does not. Each offer is planned again with its one change, so that it is
 * true and its numbers are a plan's; where no change is enough by itself, several are taken together. Pure.
 *
 * The order is what a person loses: nothing (a cache as large as the chat instead of the full context), time when a
 * question is asked again, the end of a long answer, precision of the cache, speed of the prompt, precision of the
 * weights, the model.
 */
import type { PlanChange, PlanOffer } from '../protocol';
import type { KvType } from './kv';
import { largest } from './largest';
import type { MemoryPlan } from './plan';

/** Types of the cache, largest first. */
const KV_TYPES: readonly KvType[] = ['f32', 'f16', 'int8'];
/** Prefill is slow in chunks shorter than this many tokens. */
const LEAST_CHUNK = 16;

type Replan = (change: PlanChange) => MemoryPlan;

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** Why a plan does not fit, with the numbers. */
export function shortfall({ peak, request: { budget }, tooLarge }: MemoryPlan): string {
  if (!tooLarge) return `This needs ${mib(peak)} and the budget is ${mib(budget ?? 0)}.`;
  const { name, bytes, limit } = tooLarge;
  return `The buffer ${name} would take ${bytes} bytes, and this device binds ${limit} at most.`;
}

/**
 * @param plan one that does not fit
 * @param replan the same request with a change
 */
export function suggest(plan: MemoryPlan, replan: Replan): PlanOffer[] {
  const offers = singleChanges(plan, replan);
  if (offers.length === 0) offers.push(...together(plan, replan));
  return [...offers, smallerModel(plan)];
}

/** Every change that is enough by itself. */
function singleChanges(plan: MemoryPlan, replan: Replan): PlanOffer[] {
  const { maxNewTokens, promptTokens, kvCapacity } = plan.request;
  const offers: PlanOffer[] = [];
  const offer = (kind: PlanOffer['kind'], change: PlanChange, text: (made: MemoryPlan) => string) => {
    const made = replan(change);
    if (made.fits) offers.push({ kind, change, total: made.total, text: `${text(made)}: ${mib(made.total)} in all.` });
  };
  if (kvCapacity !== 'auto') {
    offer('kv-capacity', { kvCapacity: 'auto' }, () => `Take kvCapacity 'auto', as large as the conversation`);
  }
  if (hasCopies(plan)) offer('snapshots', { snapshots: 0 }, () => 'Keep no snapshots of the conversation');
  const newTokens = largest(maxNewTokens - 1, (n) => replan({ maxNewTokens: n }).fits);
  if (newTokens > 0) {
    offer(
      'new-tokens',
      { maxNewTokens: newTokens },
      () => `Ask for at most ${newTokens} new tokens instead of ${maxNewTokens}`,
    );
  }
  for (const kv of smallerKv(plan)) {
    offer('kv', { kv }, (made) => `Take a cache of ${kv}, ${mib(made.kv)} instead of ${mib(plan.kv)}`);
  }
  const chunk = smallerChunks(plan).find((chunk) => replan({ chunk }).fits);
  if (chunk) offer('chunk', { chunk }, () => `Take the prompt in chunks of ${chunk} tokens`);
  offer(
    'weights',
    { weights: 'nf4' },
    (made) => `${fourBit(plan)}, ${mib(made.weights)} instead of ${mib(plan.weights)}`,
  );
  const prompt = newTokens > 0 ? 0 : largest(promptTokens - 1, (n) => replan({ promptTokens: n }).fits);
  if (prompt > 0) {
    offer(
      'prompt',
      { promptTokens: prompt },
      () => `Shorten the prompt to ${prompt} tokens from ${promptTokens}, with ${maxNewTokens} new ones`,
    );
  }
  return offers;
}

const hasCopies = ({ kvByLayer }: MemoryPlan): boolean => kvByLayer.some(({ snapshots }) => snapshots > 0);

/** As few changes together as are enough, and as many tokens as then fit. */
function together(plan: MemoryPlan, replan: Replan): PlanOffer[] {
  const steps: PlanChange[] = [
    ...(plan.request.kvCapacity === 'auto' ? [] : [{ kvCapacity: 'auto' } as const]),
    ...(hasCopies(plan) ? [{ snapshots: 0 } as const] : []),
    ...smallerKv(plan).map((kv) => ({ kv })),
    ...smallerChunks(plan).map((chunk) => ({ chunk })),
    { weights: 'nf4' },
  ];
  const { maxNewTokens, promptTokens } = plan.request;
  let change: PlanChange = {};
  for (const step of steps) {
    change = { ...change, ...step };
    // fewer new tokens, then a shorter prompt, then one that leaves room for one token
    const shorter: PlanChange[] = [
      { ...change, maxNewTokens: largest(maxNewTokens, (n) => replan({ ...change, maxNewTokens: n }).fits) },
      ...[maxNewTokens, 1].map((last) => {
        const kept = { ...change, maxNewTokens: last };
        return { ...kept, promptTokens: largest(promptTokens, (n) => replan({ ...kept, promptTokens: n }).fits) };
      }),
    ];
    const fitting = shorter.find((one) => one.maxNewTokens !== 0 && one.promptTokens !== 0);
    if (!fitting) continue;
    const needed = withoutNeedless(fitting, replan);
    const { total } = replan(needed);
    return [{ kind: 'together', change: needed, total, text: `Together: ${describe(needed)}: ${mib(total)} in all.` }];
  }
  return [];
}

/** The change without the parts that it fits without, too. */
function withoutNeedless(change: PlanChange, replan: Replan): PlanChange {
  let kept = change;
  for (const name of Object.keys(change) as (keyof PlanChange)[]) {
    const { [name]: _, ...rest } = kept;
    if (replan(rest).fits) kept = rest;
  }
  return kept;
}

function describe(change: PlanChange): string {
  const names = { maxNewTokens: 'new tokens', promptTokens: 'prompt tokens', kv: 'kv', kvCapacity: 'kvCapacity' };
  const entries = Object.entries(change).map(
    ([name, value]) => `${names[name as keyof typeof names] ?? name} ${value}`,
  );
  return entries.join(', ');
}

/** The same conversation with a smaller model of this shape. */
function smallerModel(plan: MemoryPlan): PlanOffer {
  const { peak, weights, total, request, tooLarge } = plan;
  const offer = (most: number, text: string): PlanOffer => ({
    kind: 'smaller-model',
    change: {},
    total: total - weights + most,
    text,
  });
  if (tooLarge || request.budget === null) return offer(0, 'Choose a smaller model.');
  const rest = peak - weights;
  const most = request.budget - rest;
  if (most <= 0) return offer(0, `The cache and the working memory alone take ${mib(rest)}: allow ${mib(peak)}.`);
  return offer(most, `Choose a smaller model, with weights of at most ${mib(most)}, or allow ${mib(peak)}.`);
}

function smallerKv({ request }: MemoryPlan): readonly KvType[] {
  return KV_TYPES.slice(KV_TYPES.indexOf(request.kvType) + 1);
}

/** Halves of the chunk, the largest first. */
function smallerChunks({ request }: MemoryPlan): number[] {
  const chunks: number[] = [];
  for (let chunk = request.chunk >> 1; chunk >= LEAST_CHUNK; chunk >>= 1) chunks.push(chunk);
  return chunks;
}

/** What "4 bits" would change. */
function fourBit({ matrices }: MemoryPlan): string {
  const wide = matrices.filter(({ format }) => format.type !== 'q4').flatMap(({ parts }) => parts);
  const only = wide.every(({ tensor }) => /embed|lm_head/.test(tensor));
  return only ? "Take a 4-bit embedding (weights 'nf4')" : "Take 4-bit weights (weights 'nf4')";
}
