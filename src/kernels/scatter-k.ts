/**
 * Rows of GGUF's K-quants on their way in, from the file's blocks to the layout that kernels read (memory/layout.ts).
 * Reference: formats/gguf-blocks.ts, test: execute/gpu/upload.gpu.test.ts.
 */
import source from '../../shaders/scatter-k.wgsl?raw';
import type { KQuant } from '../formats/matrix';
import { type Description, kernel } from './kernel';
import { UPLOAD_THREADS } from './scatter';

export const SCATTER_K = {
  label: 'scatter_k',
  source,
  bindings: { job: 0, source: 1, codes: 2, scales: 3, high: 4 },
} satisfies Description;

/** A thread takes 32 columns of a row; workgroups as those of scatter. */
export const scatterKKernel = (levels: KQuant) =>
  kernel(
    SCATTER_K,
    { THREADS: UPLOAD_THREADS, FOUR: levels === 'Q4_K', FIVE: levels === 'Q5_K', SIX: levels === 'Q6_K' },
    `scatter_${levels}`,
  );
