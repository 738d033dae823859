/**
 * RMSNorm, alone or added to what is there; a workgroup a token. Reference: execute/cpu/kernels.ts, test:
 * elementwise.gpu.test.ts.
 */
import source from '../../shaders/norm.wgsl?raw';
import { wholeChunks } from '../memory/layout';
import { type Description, kernel } from './kernel';
import { wgslFloat } from './matrix';

export const NORM = {
  label: 'norm',
  source,
  bindings: { x: 0, norm_weight: 1, out: 2, state: 3 },
} satisfies Description;

/** @param add the factor with which the normed row is added to `out`; null: it is written there */
export const normKernel = (width: number, eps: number, offset: 0 | 1, add: number | null = null) =>
  kernel(
    NORM,
    {
      THREADS: 64,
      COLUMNS: width,
      X_STRIDE: width / 4,
      NORM_WORDS: wholeChunks(width) / 4,
      EPS: wgslFloat(eps),
      NORM_PLUS_ONE: offset === 1,
      ADD: add !== null,
      SCALE: wgslFloat(add ?? 1),
    },
    add === null ? 'norm' : 'norm_add',
  );
