/**
 * Compute pipelines, compiled asynchronously and once: the same source and constants give the same pipeline.
 * A compile error names the kernel and shows the line.
 */
import { NibbleError } from '../errors';

export interface PipelineRequest {
  label: string;
  code: string;
}

const byDevice = new WeakMap<GPUDevice, Pipelines>();

export class Pipelines {
  readonly #device: GPUDevice;
  readonly #made = new Map<string, Promise<GPUComputePipeline>>();

  private constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** The pipelines of a device: one cache, whoever asks. */
  static of(device: GPUDevice): Pipelines {
    const pipelines = byDevice.get(device) ?? new Pipelines(device);
    byDevice.set(device, pipelines);
    return pipelines;
  }

  /** @throws NibbleError webgpu-unavailable with the compiler's message, the line and its source */
  get(request: PipelineRequest): Promise<GPUComputePipeline> {
    let pipeline = this.#made.get(request.code);
    if (!pipeline) {
      pipeline = compile(this.#device, request);
      this.#made.set(request.code, pipeline);
      pipeline.catch(() => this.#made.delete(request.code));
    }
    return pipeline;
  }

  get count(): number {
    return this.#made.size;
  }
}

async function compile(device: GPUDevice, { label, code }: PipelineRequest): Promise<GPUComputePipeline> {
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label, code });
  const scope = device.popErrorScope();
  const { messages } = await module.getCompilationInfo();
  const error = messages.find((message) => message.type === 'error');
  if (error) {
    await scope;
    const line = code.split('\n')[error.lineNum - 1] ?? '';
    throw new NibbleError(
      'webgpu-unavailable',
      `The GPU's compiler refused the kernel ${label}, line ${error.lineNum}: ${error.message}\n  ${line.trim()}`,
      { kernel: label, line: error.lineNum, column: error.linePos, source: line.trim() },
    );
  }
  await scope;
  try {
    return await device.createComputePipelineAsync({ label, layout: 'auto', compute: { module, entryPoint: 'main' } });
  } catch (cause) {
    throw new NibbleError(
      'webgpu-unavailable',
      `The GPU could not build the kernel ${label}: ${(cause as Error).message}`,
      { kernel: label },
      { cause },
    );
  }
}
