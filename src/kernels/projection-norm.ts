/**
 * RMSNorm of q and of k over all their heads at once, in place; workgroups: [tokens, 2]. Reference:
 * execute/cpu/kernels.ts, test: elementwise.gpu.test.ts.
 */
import source from '../../shaders/projection-norm.wgsl?raw';
import type { ModelSpec } from '../model/spec';
import { type Description, kernel } from './kernel';
import { wgslFloat } from './matrix';

export const PROJECTION_NORM = {
  label: 'projection_norm',
  source,
  bindings: { qkv: 0, q_norm: 1, k_norm: 2, state: 3 },
} satisfies Description;

export const projectionNormKernel = (
  { heads, kvHeads, headSize }: Pick<ModelSpec, 'heads' | 'kvHeads' | 'headSize'>,
  eps: number,
  offset: 0 | 1,
) =>
  kernel(PROJECTION_NORM, {
    THREADS: 64,
    Q_WIDTH: heads * headSize,
    K_WIDTH: kvHeads * headSize,
    QKV_WIDTH: (heads + 2 * kvHeads) * headSize,
    EPS: wgslFloat(eps),
    NORM_PLUS_ONE: offset === 1,
  });
