/** A dispatch: as the lowering gives it, and ready to run. */
import type { ByBinding, Kernel } from '../../kernels/kernel';

export type Groups = readonly [number, number?, number?];

/** Names of buffers, as the memory plan has them, by binding. */
export type Buffers<B extends string = string> = ByBinding<B, string>;

export interface Op {
  kernel: Kernel;
  buffers: Buffers;
  /** workgroups for `tokens` tokens, the last at position `last`, with rings of `slots` by layer; 0 = skip */
  groups(tokens: number, last: number, slots: readonly number[]): Groups;
  /** whose rings it uses; null: none */
  layer: number | null;
  /** whether it belongs to the head: a prefill runs that for one token alone */
  head: boolean;
}

export function op<B extends string>(
  kernel: Kernel<B>,
  buffers: Buffers<NoInfer<B>>,
  groups: Op['groups'],
  layer: number | null = null,
): Op {
  return { kernel, buffers, groups, layer, head: false };
}

/** An op with its pipeline and bind group. */
export interface Bound {
  op: Op;
  pipeline: GPUComputePipeline;
  group: GPUBindGroup;
}
