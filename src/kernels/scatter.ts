/**
 * Rows of weights on their way in, from row-major slices to the layout that kernels read (memory/layout.ts). Test:
 * execute/gpu/upload.gpu.test.ts, which reads them back.
 */
import source from '../../shaders/scatter.wgsl?raw';
import { type Description, kernel } from './kernel';

export const SCATTER = {
  label: 'scatter',
  source,
  bindings: { job: 0, source: 1, destination: 2 },
} satisfies Description;

/** Of a workgroup of scatter and of quantize. */
export const UPLOAD_THREADS = 64;

export const scatterKernel = () => kernel(SCATTER, { THREADS: UPLOAD_THREADS });

/** Workgroups for as many threads, in two dimensions where one cannot hold them. */
export function uploadGroups(threads: number): [number, number] {
  const groups = Math.ceil(threads / UPLOAD_THREADS);
  const width = Math.min(groups, 65535);
  return [width, Math.ceil(groups / width)];
}
