/**
 * Which executor answers: a real GPU, else the CPU; a software GPU only when asked for, as it is the slower of the two.
 */
import { NibbleError } from '../errors';
import { describeAdapter, findAdapter, type Gpu, type GpuOptions, requestGpu } from '../gpu/device';

/**
 * @returns the GPU, or null for the CPU, with a sentence for the person
 * @throws webgpu-unavailable when asked for in vain
 */
export async function chooseBackend(
  wanted: 'auto' | 'webgpu' | 'cpu',
  gpu: GPU | null,
  options: GpuOptions,
): Promise<{ gpu: Gpu | null; reason: string }> {
  if (wanted === 'cpu') return { gpu: null, reason: 'The CPU answers because it was asked for.' };
  if (wanted === 'webgpu') return { gpu: await requestGpu(gpu, options), reason: 'The GPU was asked for.' };
  if (!gpu) return { gpu: null, reason: 'There is no WebGPU here, so the CPU answers: slower, but the same.' };
  const adapter = await findAdapter(gpu);
  if (!adapter) return { gpu: null, reason: 'WebGPU finds no graphics adapter here, so the CPU answers.' };
  const { isFallback, description, device } = describeAdapter(adapter);
  if (isFallback) {
    const name = description || device || 'a software adapter';
    return { gpu: null, reason: `WebGPU has only ${name} here, which is slower than the CPU, so the CPU answers.` };
  }
  try {
    return { gpu: await requestGpu(gpu, options), reason: 'The GPU answers.' };
  } catch (error) {
    if (!(error instanceof NibbleError)) throw error;
    return { gpu: null, reason: `The CPU answers, because the GPU did not start: ${error.message}` };
  }
}
