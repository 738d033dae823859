/** A library of models for tests of the interface: it keeps what it is told to keep, and answers when it is told to. */

import type { Inspection } from '../../engine';
import { NibbleError } from '../../errors';
import type { ModelCost, PlanInfo, PlanQuery, StoredModel } from '../../protocol';
import type { ModelLibrary } from '../models/model-library';

export const PLAN: PlanInfo = {
  weights: 80 * 2 ** 20,
  kv: 9 * 2 ** 20,
  kvByLayer: [],
  kvFullContext: 180 * 2 ** 20,
  scratch: 11 * 2 ** 20,
  staging: 0,
  index: 0,
  total: 100 * 2 ** 20,
  peak: 100 * 2 ** 20,
  peakNow: null,
  fits: true,
  suggestions: [],
  offers: [],
};

export const COST: ModelCost = {
  name: 'org/name',
  family: 'llama',
  parameters: 134_515_008,
  contextLength: 8192,
  bytes: 98e6,
  storedBytes: 0,
  here: false,
  tokens: 384,
  lastAttempt: null,
  notes: [],
  plan: PLAN,
  deviceEstimate: { bytes: 2 ** 30, reason: 'An estimate: half of the 2 GiB of memory that the browser reports.' },
};

export const KEPT: StoredModel = {
  key: 'org/kept@v2',
  name: 'org/kept',
  revision: 'c0ffee',
  complete: true,
  storedBytes: 86e6,
  lastUsed: Date.now(),
  lastAttempt: null,
};

const disposing = (dispose: () => void) => ({ [Symbol.dispose]: dispose, [Symbol.asyncDispose]: dispose });

export class FakeLibrary implements ModelLibrary {
  standard = { model: '/models/standard/', name: 'standard' };
  kept = [KEPT];
  /** what inspect() was asked for, and what answers it */
  inspected: unknown[] = [];
  inspect = async (...asked: unknown[]): Promise<Inspection> => {
    this.inspected.push(asked);
    const cost = await this.answer(asked[0]);
    this.open++;
    const dispose = () => void this.open--;
    return { cost, plan: async (query) => this.plan(query, cost), dispose, close: dispose, ...disposing(dispose) };
  };
  /** inspections that nobody has closed */
  open = 0;
  /** answers what-ifs */
  plan: (query: PlanQuery, cost: ModelCost) => PlanInfo = (_, { plan }) => plan;
  answer: (model: unknown) => Promise<ModelCost> | ModelCost = () => COST;
  /** downloads that were asked for, and are under way */
  keeping: { model: unknown; options: Parameters<NonNullable<ModelLibrary['keep']>>[1]; arrive(): void }[] = [];
  keep: NonNullable<ModelLibrary['keep']> = async (model, options) => {
    await new Promise<void>((resolve, reject) => {
      this.keeping.push({ model, options, arrive: resolve });
      options.signal?.addEventListener('abort', () => reject(new NibbleError('aborted', 'It was stopped.')));
    });
    if (this.failure) throw this.failure;
    this.kept.push({ ...KEPT, key: `${model}@`, name: String(model) });
  };
  stored = async () => [...this.kept];
  verify = async () => ({ checkedBytes: 86e6, alteredChunks: 1, missingChunks: 2 });
  /** thrown instead of deleting */
  failure: NibbleError | null = null;
  remove = async ({ key }: Pick<StoredModel, 'key'>) => {
    if (this.failure) throw this.failure;
    this.kept = this.kept.filter((model) => model.key !== key);
  };
  refuse = () => {
    this.failure = new NibbleError('storage-unavailable', 'It is loaded in another tab. Close it there first.');
  };
}
