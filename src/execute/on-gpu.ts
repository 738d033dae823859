/** WebGPU's executor, kernels and shaders as a part that is fetched only where they answer. */
export { createGpuExecutor } from './gpu/executor';
