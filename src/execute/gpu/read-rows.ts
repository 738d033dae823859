/** Some rows of a weight matrix, back from the GPU as f32: what trained tokens are compared with. */
import type { Pipelines } from '../../gpu/pipelines';
import { embedGroups, embedKernel } from '../../kernels/embed';
import { bindGroup, named } from '../../kernels/kernel';
import type { CodebookTable } from '../../kernels/matrix';
import { type DeviceMatrix, matrixBuffers } from '../../memory/layout';

/**
 * The rows go through the buffers of an embedding, a chunk of tokens at a time: nothing may run meanwhile.
 * @param matrices which make up all rows
 * @param chunk tokens that `ids` and `x` have room for
 * @returns [ids, cols]
 */
export async function readRows(
  device: GPUDevice,
  pipelines: Pipelines,
  matrices: readonly DeviceMatrix[],
  ids: readonly number[],
  { chunk, table }: { chunk: number; table: CodebookTable },
  buffer: (name: string) => GPUBuffer,
  read: (buffer: GPUBuffer, values: number) => Promise<Float32Array>,
): Promise<Float32Array> {
  const { cols } = matrices[0];
  const rows = new Float32Array(ids.length * cols);
  for (let at = 0; at < ids.length; at += chunk) {
    const some = Uint32Array.from(ids.slice(at, at + chunk));
    device.queue.writeBuffer(buffer('ids'), 0, some);
    device.queue.writeBuffer(buffer('state'), 0, new Uint32Array([0, some.length]));
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const matrix of matrices) {
      const kernel = embedKernel(matrix, 1, table);
      const pipeline = await pipelines.get(kernel);
      const bound = named({ ...matrixBuffers(matrix), ids: 'ids', out: 'x', state: 'state' }, buffer);
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup(device, pipeline, kernel, bound));
      pass.dispatchWorkgroups(embedGroups(cols, some.length));
    }
    pass.end();
    device.queue.submit([encoder.finish()]);
    rows.set(await read(buffer('x'), some.length * cols), at * cols);
  }
  return rows;
}
