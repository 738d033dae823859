/** What a conversation's cache on the GPU shares with the executor that made it, and with its lazy modules. */
import type { DeviceHealth } from '../../gpu/device-health';
import type { Ledger } from '../../gpu/ledger';
import type { Pipelines } from '../../gpu/pipelines';
import type { KvPart, KvShape } from '../../memory/kv';
import type { MemoryPlan } from '../../memory/plan';
import type { Rings } from '../../memory/rings';
import type { ModelSpec } from '../../model/spec';
import type { Bound } from './op';

/** A ring, or rows of one, and where its buffers are. */
export interface RingBuffers extends KvShape {
  /** @param name of the ring's buffer */
  buffer(name: string): GPUBuffer;
}

/** The rings of one conversation. */
export interface GpuRings {
  readonly held: Rings;
  /** by layer, which heads its buffers hold */
  readonly parts: readonly (readonly KvPart[])[];
  /** by the plan's names */
  readonly buffers: Map<string, GPUBuffer>;
  /** positions that the reserved request reaches */
  readonly reach: number;
  /** the passes on these buffers; null: to be bound anew */
  passes: Record<'decode' | 'prefill', Bound[]> | null;
}

/** What it shares with the executor that made it. */
export interface GpuCacheOwner {
  device: GPUDevice;
  ledger: Ledger;
  pipelines: Pipelines;
  spec: ModelSpec;
  /** what the model was loaded with: type and chunk are the same for every conversation */
  plan: MemoryPlan;
  /** of those that all conversations share, by the plan's name */
  buffer(name: string): GPUBuffer;
  /** puts the frequencies of conversations that reach so far in place */
  useFrequencies(reach: number): void;
  health: DeviceHealth;
  /** the cache was freed */
  dispose(): void;
}
