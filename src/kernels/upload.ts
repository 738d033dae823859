/** Weights on their way in: row-major slices to the kernels' layout, dense ones quantised (scatter, quantize). */
import { type DenseType, NF4_CODEBOOK } from '../formats/matrix';
import { type Kernel, kernel } from './library';
import { wgslFloat } from './matrix';

const THREADS = 64;

export const scatterKernel = (): Kernel => kernel('scatter', { THREADS });

/** bitsandbytes' decision thresholds: f32 midpoints of neighbouring codebook values (its kernels.cu). */
const thresholds = NF4_CODEBOOK.slice(1).map((value, i) => Math.fround((value + NF4_CODEBOOK[i]) / 2));

export const quantizeKernel = (dense: DenseType): Kernel =>
  kernel(
    'quantize',
    { THREADS, F32: dense === 'f32', BF16: dense === 'bf16', THRESHOLDS: thresholds.map(wgslFloat).join(', ') },
    `quantize_${dense}`,
  );

/** A flat job of `items`, folded into two dimensions where one cannot hold it. */
export function flatGroups(items: number): [number, number] {
  const groups = Math.ceil(items / THREADS);
  const width = Math.min(groups, 65535);
  return [width, Math.ceil(groups / width)];
}
