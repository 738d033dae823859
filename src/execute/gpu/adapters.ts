/** Puts the contents of adapters into their buffers, from files and from the weights that they stand on. */
import type { Pipelines } from '../../gpu/pipelines';
import { submittedWorkDone } from '../../gpu/wait';
import type { CodebookTable } from '../../kernels/matrix';
import {
  type ActiveAdapters,
  type BaseWeights,
  type StepAdapters,
  weightsOf,
  wholeTensors,
} from '../../memory/adapted';
import { biasBuffer, type MemoryPlan } from '../../memory/plan';
import type { PlanBuffers } from './buffers';
import { GpuSink } from './upload';

/** What the executor has for it. */
export interface GpuContext {
  device: GPUDevice;
  pipelines: Pipelines;
  buffers: PlanBuffers;
  plan: MemoryPlan;
  /** where the kernel that reads rows keeps a codebook */
  table: CodebookTable;
  /** the f32 values of a buffer */
  read(from: GPUBuffer, values: number): Promise<Float32Array>;
}

/**
 * @param fresh the adapters' own buffers, by name
 * @throws what active.fill() and active.read() throw, out-of-memory, limit-exceeded, device-lost
 */
export async function fillAdapters(
  context: GpuContext,
  active: ActiveAdapters,
  adapters: StepAdapters,
  fresh: ReadonlyMap<string, GPUBuffer>,
): Promise<void> {
  await fillWhole(context, active, adapters, fresh);
  const base = baseWeights(context, adapters, fresh);
  for (const adapter of adapters.values()) {
    const contents = await active.read(adapter, 'webgpu', base);
    for (const [name, bytes] of contents) context.device.queue.writeBuffer(fresh.get(name)!, 0, bytes);
    // so that no more than one step's values wait in the queue
    await submittedWorkDone(context.device);
  }
}

/** Brings what adapters have whole into its buffers, as weights come into theirs. */
async function fillWhole(
  { device, pipelines, buffers, plan }: GpuContext,
  active: ActiveAdapters,
  adapters: StepAdapters,
  fresh: ReadonlyMap<string, GPUBuffer>,
): Promise<void> {
  const { matrices, vectors } = wholeTensors(adapters);
  const staging = await buffers.allocate(
    matrices.length > 0 ? plan.buffers.filter(({ purpose }) => purpose === 'staging') : [],
  );
  try {
    const lengths = new Map(vectors.map(({ name, cols }) => [name, cols]));
    const buffer = (name: string) => (staging.get(name) ?? fresh.get(name))!;
    const sink = new GpuSink(device, pipelines, buffer, matrices, lengths, [], () => {});
    await active.fill(sink);
    await sink.finish();
  } finally {
    buffers.free(staging);
  }
}

/** The weights as adapters see them. */
function baseWeights(
  { device, pipelines, buffers, plan, table, read }: GpuContext,
  adapters: StepAdapters,
  fresh: ReadonlyMap<string, GPUBuffer>,
): BaseWeights {
  const buffer = (name: string) => fresh.get(name) ?? buffers.get(name);
  return {
    rowNorms: async (step, ...product) => {
      const names = step.parts.map((part) => part.name);
      const matrices = weightsOf(plan.matrices, adapters.get(step), names);
      const { rowNorms } = await import('./row-norms');
      return rowNorms(device, buffers.ledger, pipelines, matrices, buffer, product, read);
    },
    rows: async (step, tensor, indices) => {
      const matrices = weightsOf(plan.matrices, adapters.get(step), [tensor]);
      const { readRows } = await import('./read-rows');
      return readRows(device, pipelines, matrices, indices, { chunk: plan.request.chunk, table }, buffer, read);
    },
    biases: (step) =>
      read(
        buffers.get(biasBuffer(step)!),
        step.parts.reduce((rows, part) => rows + part.rows, 0),
      ),
  };
}
