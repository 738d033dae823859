/**
 * Chooses the shapes of the products: those that compute what they should (self-test.ts), and of these the fastest
 * (time-products.ts). It works while weights arrive, and stops when it is told to: what it did not get to keeps the
 * profile's choice.
 */
import { NibbleError } from '../../../errors';
import type { MatrixFormat } from '../../../formats/matrix';
import {
  type Candidate,
  isProduct,
  type ProductCandidate,
  TUNED_ROLES,
  type TunedRole,
} from '../../../kernels/candidates';
import { roleOf } from '../../../kernels/variants';
import type { StepOf } from '../../../model/steps';
import { attentionTrial } from './attention-trial';
import type { TuneContext } from './context';
import { productTrial } from './product-trial';
import { prepareTest, selfTest } from './self-test';
import { timeProducts } from './time-products';
import type { Trial } from './trial';

/** A shape that is so many times slower than it was is timed anew, and the others with it. */
const SLOWER = 1.5;

/** Of each role the shape that is used, and of a product the ms of a pass through all layers, where it was timed. */
export type Choice = Partial<Record<TunedRole, { name: string; ms?: number }>>;

export interface TuneRequest {
  /** by role in the order of trial, the profile's choice first; candidatesFor() */
  candidates: readonly Candidate[];
  /** what an earlier load of this model chose on this device */
  known: Choice;
  /** names of variants that are not to be used on this device, and why */
  rejected: Readonly<Record<string, string>>;
  /** compiling and timing take so long at most, ms */
  limit: number;
  /** stops it between two steps */
  signal: AbortSignal;
  /** awaited before a variant is run that no load has run to its end, as the device may be lost by it; '': none is */
  onTry?: (variant: string) => Promise<void>;
}

export interface TuneResult {
  /** by role: checked; the profile's choice where nothing else was timed */
  chosen: Candidate[];
  choice: Choice;
  rejected: Record<string, string>;
  how: 'stored' | 'timed' | 'timed in part';
  /** how long it took */
  ms: number;
}

/** The name by which a variant is known to info() and to the store. */
export const variantName = ({ role, name }: Pick<Candidate, 'role' | 'name'>): string => `${role} ${name}`;

/** The format that most of a role's weights have, so that it is the one to check with. */
function formatOf({ lowering }: TuneContext, { role }: ProductCandidate): MatrixFormat {
  const isOfRole = (step: StepOf<'linear'>) => role === 'matmul' || role === 'few' || roleOf(step) === role;
  const names = new Set(
    lowering.model.steps.flatMap((step) =>
      step.op === 'linear' && isOfRole(step) ? step.parts.map(({ name }) => name) : [],
    ),
  );
  const sizes = new Map<string, { format: MatrixFormat; bytes: number }>();
  for (const { format, bytes, parts } of lowering.matrices) {
    if (!parts.some(({ tensor }) => names.has(tensor))) continue;
    const key = JSON.stringify(format);
    sizes.set(key, { format, bytes: (sizes.get(key)?.bytes ?? 0) + bytes.codes });
  }
  return [...sizes.values()].reduce((most, one) => (one.bytes > most.bytes ? one : most)).format;
}

/** The work on which a candidate shows what it computes. */
function trialOf(context: TuneContext, candidate: Candidate): Trial {
  const { profile } = context.gpu;
  if (isProduct(candidate)) return productTrial(candidate, formatOf(context, candidate), profile.workgroup.bytes);
  const { model, kv } = context.lowering;
  const shape = candidate.role === 'decodeAttention' ? { decode: candidate.shape } : { prefill: candidate.shape };
  return attentionTrial(model.spec, kv, profile, shape);
}

/**
 * @throws webgpu-unavailable where no shape of a role computes what it should; device-lost
 */
export async function tune(context: TuneContext, request: TuneRequest): Promise<TuneResult> {
  const began = performance.now();
  const { known, signal, limit } = request;
  const rejected = { ...request.rejected };
  const trials = new Trials(context, request, rejected);
  const chosen: Candidate[] = [];
  const choice: Choice = {};
  const roles = TUNED_ROLES.filter((role) => trials.of(role).length > 0);
  // what answers in any case comes first, and is checked whatever the time
  for (const role of roles) {
    const first = await trials.first(role);
    if (!first) throw noneIsRight(role, rejected);
    chosen.push(first);
    choice[role] = { name: first.name, ...(first.name === known[role]?.name && known[role]) };
  }
  await request.onTry?.('');
  const isLate = () => signal.aborted || performance.now() - began > limit;
  let timed = false;
  for (const [at, first] of chosen.entries()) {
    if (!isProduct(first)) continue;
    if (isLate()) break;
    const { role } = first;
    const ms = await timeProducts(context, first);
    const before = choice[role]?.ms;
    if (before !== undefined && ms <= SLOWER * before) continue;
    timed = true;
    const { best, whole } = await trials.fastest({ candidate: first, ms }, isLate);
    chosen[at] = best.candidate;
    // without a time, the next load times all of them
    choice[role] = { name: best.candidate.name, ...(whole && { ms: best.ms }) };
  }
  const whole = chosen.every((one) => !isProduct(one) || choice[one.role]?.ms !== undefined);
  const how = !whole ? 'timed in part' : timed ? 'timed' : 'stored';
  return { chosen, choice, rejected, how, ms: performance.now() - began };
}

interface Timed {
  candidate: ProductCandidate;
  ms: number;
}

/** The candidates of a request, each checked at most once. */
class Trials {
  readonly #context: TuneContext;
  readonly #request: TuneRequest;
  readonly #rejected: Record<string, string>;
  readonly #good = new Set<Candidate>();
  readonly #trials = new Map<Candidate, Trial>();

  /** @param rejected gets the names of those that are wrong, and why */
  constructor(context: TuneContext, request: TuneRequest, rejected: Record<string, string>) {
    this.#context = context;
    this.#request = request;
    this.#rejected = rejected;
  }

  /** A role's candidate that is known, else the profile's choice, else the next one, whichever is right first. */
  async first(role: TunedRole): Promise<Candidate | undefined> {
    const all = this.of(role);
    const known = all.filter((one) => this.#isKnown(one));
    for (const candidate of [...known, ...all]) if (await this.#isGood(candidate)) return candidate;
    return undefined;
  }

  /** The fastest of a role's candidates; `whole` where there was time for all. */
  async fastest(first: Timed, isLate: () => boolean): Promise<{ best: Timed; whole: boolean }> {
    let best = first;
    const { role } = first.candidate;
    const others = this.of(role)
      .filter(isProduct)
      .filter((candidate) => candidate !== first.candidate);
    // a browser compiles several at a time
    for (const candidate of others) prepareTest(this.#context, this.#trialOf(candidate));
    for (const candidate of others) {
      if (isLate()) return { best, whole: false };
      if (!(await this.#isGood(candidate))) continue;
      const ms = await this.#time(candidate);
      if (ms < best.ms) best = { candidate, ms };
    }
    return { best, whole: true };
  }

  of(role: TunedRole): Candidate[] {
    return this.#request.candidates.filter((candidate) => candidate.role === role);
  }

  #trialOf(candidate: Candidate): Trial {
    const trial = this.#trials.get(candidate) ?? trialOf(this.#context, candidate);
    this.#trials.set(candidate, trial);
    return trial;
  }

  #isKnown({ role, name }: Candidate): boolean {
    return this.#request.known[role]?.name === name;
  }

  async #isGood(candidate: Candidate): Promise<boolean> {
    const name = variantName(candidate);
    if (name in this.#rejected || this.#good.has(candidate)) return !(name in this.#rejected);
    if (!this.#isKnown(candidate)) await this.#request.onTry?.(name);
    const fault = await selfTest(this.#context, this.#trialOf(candidate));
    if (fault) this.#rejected[name] = fault;
    else this.#good.add(candidate);
    return !fault;
  }

  /** ms; Infinity for a variant that compiles on a small product and not on the model's, which is rejected */
  async #time(candidate: ProductCandidate): Promise<number> {
    try {
      return await timeProducts(this.#context, candidate);
    } catch (error) {
      this.#context.gpu.health.check();
      this.#rejected[variantName(candidate)] = (error as Error).message;
      return Number.POSITIVE_INFINITY;
    }
  }
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
