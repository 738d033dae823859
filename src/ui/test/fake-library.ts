/** A library of models for tests of the interface: it keeps what it is told to keep, and answers when it is told to. */
import { NibbleError } from '../../errors';
import type { ModelCost, StoredModel } from '../../protocol';
import type { ModelLibrary } from '../model-library';

export const COST: ModelCost = {
  name: 'org/name',
  family: 'llama',
  parameters: 134_515_008,
  contextLength: 8192,
  bytes: 98e6,
  storedBytes: 0,
  here: false,
  memory: 120e6,
  tokens: 512,
  fits: true,
  suggestions: [],
  lastAttempt: null,
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

export class FakeLibrary implements ModelLibrary {
  standard = { model: '/models/standard/', name: 'standard' };
  kept = [KEPT];
  /** what inspect() was asked for, and what answers it */
  inspected: unknown[] = [];
  inspect = async (...asked: unknown[]): Promise<ModelCost> => {
    this.inspected.push(asked);
    return this.answer(asked[0]);
  };
  answer: (model: unknown) => Promise<ModelCost> | ModelCost = () => COST;
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
