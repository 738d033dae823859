/** What the tuner has of an executor. */
import type { Gpu } from '../../../gpu/device';
import type { Pipelines } from '../../../gpu/pipelines';
import type { KernelShapes } from '../../../kernels/variants';
import type { LowerOptions } from '../lower';
import type { Bound, Op } from '../op';

export interface TuneContext {
  gpu: Gpu;
  pipelines: Pipelines;
  /** of the plan, by name */
  buffer(name: string): GPUBuffer;
  /** with which dispatches are made, but for the shapes */
  lowering: Omit<LowerOptions, 'shapes'>;
  /** those in use */
  shapes: KernelShapes;
  /** the most tokens of a pass */
  chunk: number;
  /** makes pipelines and bind groups. @throws webgpu-unavailable for a kernel that does not compile */
  bind(ops: readonly Op[]): Promise<Bound[]>;
}
