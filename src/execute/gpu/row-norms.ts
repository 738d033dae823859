/** L2 norms of the rows of W + b a, on the GPU: what DoRA asks of the weights underneath. */
import type { Ledger } from '../../gpu/ledger';
import type { Pipelines } from '../../gpu/pipelines';
import { STORAGE_USAGE } from '../../gpu/usage';
import { bindGroup, named } from '../../kernels/kernel';
import { rowNormsGroups, rowNormsKernel } from '../../kernels/row-norms';
import { type DeviceMatrix, matrixBuffers, wholeChunks } from '../../memory/layout';

/**
 * @param matrices that make up W [rows, cols]
 * @param a [rank, cols] @param b [rows, rank]
 * @param read the f32 values of a buffer
 */
export async function rowNorms(
  device: GPUDevice,
  ledger: Ledger,
  pipelines: Pipelines,
  matrices: readonly DeviceMatrix[],
  buffer: (name: string) => GPUBuffer,
  [a, b, rank]: [Float32Array, Float32Array, number],
  read: (buffer: GPUBuffer, values: number) => Promise<Float32Array>,
): Promise<Float32Array> {
  const cols = a.length / rank;
  const rows = b.length / rank;
  const wide = wholeChunks(cols);
  const padded = new Float32Array(rank * wide);
  for (let k = 0; k < rank; k++) padded.set(a.subarray(k * cols, (k + 1) * cols), k * wide);
  const sizes = { 'norms.a': padded.length, 'norms.b': b.length, norms: rows };
  const made = await ledger.allocate(
    // they exist only while the question is answered
    Object.entries(sizes).map(([name, size]) => ({ name, purpose: 'staging', bytes: size * 4, usage: STORAGE_USAGE })),
  );
  try {
    device.queue.writeBuffer(made[0], 0, padded);
    device.queue.writeBuffer(made[1], 0, b as Float32Array<ArrayBuffer>);
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const matrix of matrices) {
      const kernel = rowNormsKernel(matrix, rank);
      const pipeline = await pipelines.get(kernel);
      const bound = { ...named(matrixBuffers(matrix), buffer), a: made[0], b: made[1], norms: made[2] };
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup(device, pipeline, kernel, bound));
      pass.dispatchWorkgroups(rowNormsGroups(matrix.rows));
    }
    pass.end();
    device.queue.submit([encoder.finish()]);
    return await read(made[2], rows);
  } finally {
    for (const one of made) ledger.release(one);
  }
}
