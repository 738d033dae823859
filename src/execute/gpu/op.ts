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
  stage: Stage;
}

/**
 * What a pass runs it for: what later tokens see of this one (`layers`, up to the last layer's keys and values), or
 * logits: the rest of the last layer (`tail`), and the head, which a prefill runs for one token alone.
 */
export type Stage = 'layers' | 'tail' | 'head';

export function op<B extends string>(
  kernel: Kernel<B>,
  buffers: Buffers<NoInfer<B>>,
  groups: Op['groups'],
  layer: number | null = null,
): Op {
  return { kernel, buffers, groups, layer, stage: 'layers' };
}

/** An op with its pipeline and bind group. */
export interface Bound {
  op: Op;
  pipeline: GPUComputePipeline;
  group: GPUBindGroup;
}

/** Where a stage begins in a pass. */
export const beginOf = (pass: readonly Bound[], stage: Stage): number => pass.findIndex(({ op }) => op.stage === stage);
