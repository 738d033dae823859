/** The buffers that all conversations share, by the plan's names, made and freed through the ledger. */
import { Ledger } from '../../gpu/ledger';
import { READ_USAGE, STORAGE_USAGE, usage } from '../../gpu/usage';
import { isReadback, TUNE_OUT } from '../../memory/gpu-scratch';
import type { BufferPlan } from '../../memory/plan';

const usageOf = ({ name, purpose }: BufferPlan): number => {
  if (isReadback(name)) return READ_USAGE;
  // of what comes in on the way to others, nothing is read back but what the tuner tries
  return purpose === 'staging' && name !== TUNE_OUT ? usage('STORAGE', 'COPY_DST') : STORAGE_USAGE;
};

export class PlanBuffers {
  readonly ledger: Ledger;
  readonly #made = new Map<string, GPUBuffer>();

  constructor(device: GPUDevice) {
    this.ledger = new Ledger(device);
  }

  readonly get = (name: string): GPUBuffer => {
    const buffer = this.#made.get(name);
    if (!buffer) throw new Error(`the plan has no buffer ${name}`);
    return buffer;
  };

  has(name: string): boolean {
    return this.#made.has(name);
  }

  /** Makes all of these or none; nobody finds them here before adopt(). @throws out-of-memory, limit-exceeded */
  async allocate(plans: readonly BufferPlan[]): Promise<Map<string, GPUBuffer>> {
    const made = await this.ledger.allocate(plans.map((plan) => ({ ...plan, usage: usageOf(plan) })));
    return new Map(plans.map(({ name }, i) => [name, made[i]]));
  }

  /** Makes scratch buffers that are there once somebody needs them. @throws out-of-memory, limit-exceeded */
  async have(buffers: readonly (readonly [name: string, bytes: number])[]): Promise<void> {
    const missing = buffers.filter(([name]) => !this.has(name));
    if (missing.length === 0) return;
    this.adopt(await this.allocate(missing.map(([name, bytes]) => ({ name, bytes, purpose: 'scratch' }))));
  }

  adopt(fresh: ReadonlyMap<string, GPUBuffer>): void {
    for (const [name, buffer] of fresh) this.#made.set(name, buffer);
  }

  /** Frees those that were allocated and not adopted. */
  free(fresh: ReadonlyMap<string, GPUBuffer>): void {
    for (const buffer of fresh.values()) this.ledger.release(buffer);
  }

  /** Frees those of these names that there are. */
  release(names: Iterable<string>): void {
    for (const name of names) {
      const buffer = this.#made.get(name);
      if (buffer) this.ledger.release(buffer);
      this.#made.delete(name);
    }
  }

  dispose(): void {
    this.ledger.dispose();
    this.#made.clear();
  }
}
