/**
 * Chooses the shapes of the products: those that compute what they should (self-test.ts), and of these the fastest
 * (time-products.ts). It works while weights arrive, and stops when it is told to: what it did not get to keeps the
 * profile's choice.
 */
import { NibbleError } from '../../../errors';
import type { MatrixFormat } from '../../../formats/matrix';
import { type Candidate, TUNED_ROLES, type TunedRole } from '../../../kernels/candidates';
import { roleOf } from '../lower';
import type { TuneContext } from './context';
import { prepareTest, selfTest } from './self-test';
import { timeProducts } from './time-products';

/** A shape that is so many times slower than it was is timed anew, and the others with it. */
const SLOWER = 1.5;

/** Of each role the shape that is used, and ms of a pass through all layers, where it was timed. */
export type Choice = Partial<Record<TunedRole, { name: string; ms?: number }>>;

export interface TuneRequest {
  /** by role in the order of trial, the profile's choice first; candidatesFor() */
  candidates: readonly Candidate[];
  /** what an earlier load of this model chose on this device */
  known: Choice;
  /** names of variants that are not to be used on this device, and why */
  rejected: Readonly<Record<string, string>>;
  /** false: the known or the profile's shapes are checked, and nothing is timed */
  times: boolean;
  /** compiling and timing take so long at most, ms */
  limit: number;
  /** stops it between two steps */
  signal: AbortSignal;
  /** awaited before a variant is run that no load has run to its end: the device may be lost by it */
  onTry?: (variant: string) => Promise<void>;
}

export interface TuneResult {
  /** by role: checked; the profile's choice where nothing else was timed */
  chosen: Candidate[];
  choice: Choice;
  rejected: Record<string, string>;
  how: 'checked' | 'stored' | 'timed' | 'timed in part';
  /** how long it took */
  ms: number;
}

/** The name by which a variant is known to info() and to the store. */
export const variantName = ({ role, name }: Pick<Candidate, 'role' | 'name'>): string => `${role} ${name}`;

/** The format that most of a role's weights have, so that it is the one to check with. */
function formatOf({ lowering }: TuneContext, role: TunedRole): MatrixFormat {
  const steps = lowering.model.steps.filter(
    (step) => step.op === 'linear' && (role === 'matmul' || roleOf(step) === role),
  );
  const names = new Set(steps.flatMap((step) => (step.op === 'linear' ? step.parts.map(({ name }) => name) : [])));
  const sizes = new Map<string, { format: MatrixFormat; bytes: number }>();
  for (const { format, bytes, parts } of lowering.matrices) {
    if (!parts.some(({ tensor }) => names.has(tensor))) continue;
    const key = JSON.stringify(format);
    sizes.set(key, { format, bytes: (sizes.get(key)?.bytes ?? 0) + bytes.codes });
  }
  return [...sizes.values()].reduce((most, one) => (one.bytes > most.bytes ? one : most)).format;
}

/**
 * @throws webgpu-unavailable where no shape of a role computes what it should; device-lost
 */
export async function tune(context: TuneContext, request: TuneRequest): Promise<TuneResult> {
  const began = performance.now();
  const { candidates, known, signal, onTry } = request;
  const rejected = { ...request.rejected };
  const chosen: Candidate[] = [];
  const choice: Choice = {};
  const verdicts = new Map<Candidate, boolean>();
  const good = async (candidate: Candidate): Promise<boolean> => {
    const name = variantName(candidate);
    if (name in rejected) return false;
    const verdict = verdicts.get(candidate);
    if (verdict !== undefined) return verdict;
    const isKnown = candidate.name === known[candidate.role]?.name;
    if (!isKnown) await onTry?.(name);
    const fault = await selfTest(context, candidate, formatOf(context, candidate.role));
    if (fault) rejected[name] = fault;
    verdicts.set(candidate, !fault);
    return !fault;
  };
  // what answers in any case comes first, and is checked whatever the time
  for (const role of TUNED_ROLES) {
    const all = candidates.filter((candidate) => candidate.role === role);
    const order = [...all].sort((a, b) => Number(b.name === known[role]?.name) - Number(a.name === known[role]?.name));
    const first = await firstGood(order, good);
    if (!first) throw noneIsRight(role, rejected);
    chosen.push(first);
    choice[role] = { ...(first.name === known[role]?.name ? known[role] : undefined), name: first.name };
  }
  let how: TuneResult['how'] = TUNED_ROLES.every((role) => choice[role]?.ms !== undefined) ? 'stored' : 'checked';
  const late = () => signal.aborted || performance.now() - began > request.limit;
  if (request.times && candidates.length > chosen.length) {
    for (const [at, role] of TUNED_ROLES.entries()) {
      const before = choice[role]?.ms;
      if (late()) {
        if (how !== 'stored') how = 'timed in part';
        break;
      }
      const ms = await timeProducts(context, chosen[at]);
      if (before !== undefined && ms <= SLOWER * before) continue;
      how = 'timed';
      let best = { candidate: chosen[at], ms };
      // a browser compiles several at a time
      for (const candidate of candidates)
        if (candidate.role === role) prepareTest(context, candidate, formatOf(context, role));
      for (const candidate of candidates) {
        if (candidate.role !== role || candidate === chosen[at]) continue;
        if (late()) break;
        if (!(await good(candidate))) continue;
        const its = await timeProducts(context, candidate).catch((error) => refuse(error, candidate));
        if (its < best.ms) best = { candidate, ms: its };
      }
      chosen[at] = best.candidate;
      choice[role] = { name: best.candidate.name, ms: best.ms };
    }
  }
  return { chosen, choice, rejected, how, ms: performance.now() - began };

  /** A variant that compiles on a small product and not on the model's. */
  function refuse(error: unknown, candidate: Candidate): number {
    context.gpu.health.check();
    rejected[variantName(candidate)] = (error as Error).message;
    return Number.POSITIVE_INFINITY;
  }
}

async function firstGood(order: readonly Candidate[], good: (one: Candidate) => Promise<boolean>) {
  for (const candidate of order) if (await good(candidate)) return candidate;
  return undefined;
}

function noneIsRight(role: TunedRole, rejected: Readonly<Record<string, string>>): NibbleError {
  const mine = Object.entries(rejected).filter(([name]) => name.startsWith(`${role} `));
  const [[name, why] = ['', '']] = mine;
  return new NibbleError(
    'webgpu-unavailable',
    `This GPU computes wrong values with each of the ${mine.length} kernels for ${role} (${name}: ${why}). Update the graphics driver, or use backend "cpu".`,
    { role, variants: mine.map(([variant]) => variant) },
  );
}
