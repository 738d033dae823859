/**
 * Dense rows to NF4, codes bit-equal to bitsandbytes', straight into the layout that kernels read. Test:
 * execute/gpu/upload.gpu.test.ts.
 */
import source from '../../shaders/quantize.wgsl?raw';
import { type DenseType, NF4_CODEBOOK } from '../formats/matrix';
import { type Description, kernel } from './kernel';
import { wgslFloat } from './matrix';
import { UPLOAD_THREADS } from './scatter';

export const QUANTIZE = {
  label: 'quantize',
  source,
  bindings: { job: 0, source: 1, codes: 2, scales: 3 },
} satisfies Description;

/** bitsandbytes' decision thresholds: f32 midpoints of neighbouring codebook values (its kernels.cu). */
const thresholds = NF4_CODEBOOK.slice(1).map((value, i) => Math.fround((value + NF4_CODEBOOK[i]) / 2));

/** A thread takes a block of 64 values; workgroups as those of scatter. */
export const quantizeKernel = (dense: DenseType) =>
  kernel(
    QUANTIZE,
    {
      THREADS: UPLOAD_THREADS,
      F32: dense === 'f32',
      BF16: dense === 'bf16',
      THRESHOLDS: thresholds.map(wgslFloat).join(', '),
    },
    `quantize_${dense}`,
  );
