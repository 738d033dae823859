/** Runs a shape on a small product and says what is wrong with it. */
import type { MatrixFormat } from '../../../formats/matrix';
import { readThrough } from '../../../gpu/readback';
import { type Candidate, isMatmul } from '../../../kernels/candidates';
import { bindGroup } from '../../../kernels/kernel';
import { matmulGroups, matmulKernel } from '../../../kernels/matmul';
import { matvecGroups, matvecKernel } from '../../../kernels/matvec';
import { READBACK, TUNE_IN, TUNE_OUT } from '../../../memory/gpu-scratch';
import type { TuneContext } from './context';
import { type Problem, problemFor } from './problem';

/**
 * Largest difference in units of the largest value: of f32 sums of some thousand products in another order, and of
 * products in f16, whose sums of 32 have 11 bits.
 */
const TOLERANCE = { f32: 1e-4, f16: 5e-3 };

/** WebGPU's default minStorageBufferOffsetAlignment (spec §3.6.2). */
const ALIGNMENT = 256;

/**
 * @returns '' where the shape computes what it should, else a sentence: that it does not compile, that the GPU refuses
 * it, or by how much it is wrong
 * @throws device-lost
 */
export async function selfTest(context: TuneContext, candidate: Candidate, format: MatrixFormat): Promise<string> {
  const problem = problemFor(candidate, format);
  let got: Float32Array;
  try {
    got = await compute(context, candidate, problem);
  } catch (error) {
    context.gpu.health.check();
    return (error as Error).message;
  }
  const { right } = problem;
  const scale = right.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  let worst = 0;
  // not a number is not less than anything
  for (let i = 0; i < right.length; i++)
    if (!(Math.abs(got[i] - right[i]) <= worst * scale)) worst = Math.abs(got[i] - right[i]) / scale;
  const tolerance =
    isMatmul(candidate) && candidate.shape.kind === 'tiled' && candidate.shape.f16 ? TOLERANCE.f16 : TOLERANCE.f32;
  return worst <= tolerance ? '' : `It computes ${worst.toPrecision(2)} of the scale beside what is right.`;
}

/** The kernel of a problem and its workgroups. */
function dispatchOf({ gpu }: TuneContext, candidate: Candidate, { matrix, fusion, tokens }: Problem) {
  const outputs = fusion.outputStride;
  const gated = fusion.gated !== undefined;
  if (isMatmul(candidate)) {
    const { shape } = candidate;
    return { kernel: matmulKernel(matrix, fusion, shape, 'tune'), groups: matmulGroups(outputs, tokens, gated, shape) };
  }
  const kernel = matvecKernel(matrix, fusion, candidate.shape, 'tune', gpu.profile.workgroup.bytes);
  return { kernel, groups: [matvecGroups(outputs, candidate.shape)] };
}

/** Begins to compile what selfTest() will run; a failure is told there. */
export function prepareTest(context: TuneContext, candidate: Candidate, format: MatrixFormat): void {
  const { kernel } = dispatchOf(context, candidate, problemFor(candidate, format));
  context.pipelines.get(kernel).catch(() => {});
}

/** @throws webgpu-unavailable for what does not compile, Error for what the GPU refuses, device-lost */
async function compute(context: TuneContext, candidate: Candidate, problem: Problem): Promise<Float32Array> {
  const { gpu, pipelines, buffer } = context;
  const { device } = gpu;
  const { inputs, before, right } = problem;
  const { kernel, groups } = dispatchOf(context, candidate, problem);
  const pipeline = await pipelines.get(kernel);
  // until it is popped nothing else gets to run
  device.pushErrorScope('validation');
  const bound: Record<string, GPUBufferBinding> = {};
  let at = 0;
  for (const [name, bytes] of Object.entries(inputs)) {
    device.queue.writeBuffer(buffer(TUNE_IN), at, bytes as Uint8Array<ArrayBuffer>);
    bound[name] = { buffer: buffer(TUNE_IN), offset: at, size: bytes.byteLength };
    at = Math.ceil((at + bytes.byteLength) / ALIGNMENT) * ALIGNMENT;
  }
  const out = buffer(TUNE_OUT);
  device.queue.writeBuffer(out, 0, before as Float32Array<ArrayBuffer>);
  bound.out = { buffer: out, offset: 0, size: before.byteLength };
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindGroup(device, pipeline, kernel, bound));
  pass.dispatchWorkgroups(groups[0], groups[1] ?? 1);
  pass.end();
  device.queue.submit([encoder.finish()]);
  const refused = await device.popErrorScope();
  if (refused) throw new Error(`The GPU refuses it: ${refused.message}`);
  const piece = { from: out, at: 0, to: 0, bytes: right.byteLength };
  return new Float32Array((await readThrough(device, buffer(READBACK), [piece], right.byteLength)).buffer);
}
