/** Embedding, norm, activation and addition over [tokens, width] rows. */
import type { DeviceMatrix } from '../memory/layout';
import type { Activation, ModelSpec } from '../model/spec';
import { type Kernel, kernel } from './library';
import { type CodebookTable, matrixConstants, wgslFloat } from './matrix';

const THREADS = 64;

/** x[t] = table[ids[t]] * scale, for the rows that `matrix` holds of the table. */
export function embedKernel(matrix: DeviceMatrix, scale: number, table: CodebookTable): Kernel {
  return kernel('embed', {
    ...matrixConstants(matrix, table),
    THREADS,
    FIRST_ROW: matrix.outputRow,
    X_STRIDE: matrix.cols / 4,
    SCALE: wgslFloat(scale),
  });
}

export const embedGroups = (cols: number, tokens: number): number =>
  Math.ceil((Math.ceil(cols / 32) * tokens) / THREADS);

/** RMSNorm, a workgroup a token. */
export function normKernel(width: number, eps: number, offset: 0 | 1): Kernel {
  return kernel('norm', {
    THREADS,
    COLUMNS: width,
    X_STRIDE: width / 4,
    NORM_WORDS: Math.ceil(width / 32) * 8,
    EPS: wgslFloat(eps),
    NORM_OFFSET: offset ? ' + 1.0' : '',
  });
}

/** RMSNorm of q and k over all heads at once, in place; workgroups: [tokens, 2]. */
export function projectionNormKernel(
  spec: Pick<ModelSpec, 'heads' | 'kvHeads' | 'headSize'>,
  eps: number,
  offset: 0 | 1,
): Kernel {
  return kernel('projection_norm', {
    THREADS,
    Q_WIDTH: spec.heads * spec.headSize,
    K_WIDTH: spec.kvHeads * spec.headSize,
    QKV_WIDTH: (spec.heads + 2 * spec.kvHeads) * spec.headSize,
    EPS: wgslFloat(eps),
    NORM_OFFSET: offset ? ' + 1.0' : '',
  });
}

export const activateKernel = (width: number, activation: Activation): Kernel =>
  kernel('activate', { THREADS, COLUMNS: width, GELU: activation === 'gelu_tanh' });

export const addKernel = (width: number, scale: number): Kernel =>
  kernel('add', { THREADS, COLUMNS: width, SCALE: wgslFloat(scale) });

/** Workgroups of activate and add. */
export const rowGroups = (width: number, tokens: number): [number, number] => [Math.ceil(width / THREADS), tokens];
