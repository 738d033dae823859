/** A dispatch that is ready to run. */
import type { Op } from './lower';

/** An op with its pipeline and bind group. */
export interface Bound {
  op: Op;
  pipeline: GPUComputePipeline;
  group: GPUBindGroup;
}
