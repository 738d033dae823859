/** Runs a trial and says what is wrong with what it computes. */
import type { NibbleError } from '../../../errors';
import { readFloats } from '../../../gpu/readback';
import { bindGroup } from '../../../kernels/kernel';
import { READBACK, TUNE_BETWEEN, TUNE_IN, TUNE_OUT } from '../../../memory/gpu-scratch';
import type { TuneContext } from './context';
import type { Trial } from './trial';

/** WebGPU's default minStorageBufferOffsetAlignment (spec §3.6.2). */
const ALIGNMENT = 256;

/** Begins to compile what selfTest() will run; a failure is told there. */
export function prepareTest({ pipelines }: TuneContext, { dispatches }: Trial): void {
  for (const { kernel } of dispatches) pipelines.get(kernel).catch(() => {});
}

/**
 * @returns '' where the kernels compute what they should, else a sentence: that one does not compile, that the GPU
 * refuses it, or by how much it is wrong
 * @throws device-lost
 */
export async function selfTest(context: TuneContext, trial: Trial): Promise<string> {
  let got: Float32Array;
  try {
    got = await compute(context, trial);
  } catch (error) {
    context.gpu.health.check();
    if ((error as NibbleError).code === 'device-lost') throw error;
    return (error as Error).message;
  }
  context.gpu.health.check();
  const { right, tolerance } = trial;
  const scale = right.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
  let worst = 0;
  right.forEach((value, i) => {
    const difference = Math.abs(got[i] - value) / scale;
    // not a number is not less than anything
    if (!(difference <= worst)) worst = difference;
  });
  return worst <= tolerance ? '' : `It computes ${worst.toPrecision(2)} of the scale beside what is right.`;
}

/** @throws webgpu-unavailable for what does not compile, Error for what the GPU refuses, device-lost */
async function compute({ gpu, pipelines, buffer }: TuneContext, trial: Trial): Promise<Float32Array> {
  const { device } = gpu;
  const { dispatches, reads, writes, between = {}, result, right } = trial;
  const made = await Promise.all(dispatches.map(({ kernel }) => pipelines.get(kernel)));
  // until it is popped nothing else gets to run
  device.pushErrorScope('validation');
  const tensors: Record<string, GPUBufferBinding> = {};
  const place = (all: Readonly<Record<string, Uint8Array>>, into: string) => {
    let at = 0;
    for (const [name, bytes] of Object.entries(all)) {
      device.queue.writeBuffer(buffer(into), at, bytes as Uint8Array<ArrayBuffer>);
      tensors[name] = { buffer: buffer(into), offset: at, size: bytes.byteLength };
      at = Math.ceil((at + bytes.byteLength) / ALIGNMENT) * ALIGNMENT;
    }
  };
  place(reads, TUNE_IN);
  place(writes, TUNE_OUT);
  place(
    Object.fromEntries(Object.entries(between).map(([name, bytes]) => [name, new Uint8Array(bytes)])),
    TUNE_BETWEEN,
  );
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  dispatches.forEach(({ kernel, groups, bound }, i) => {
    const named = Object.fromEntries(Object.entries(bound).map(([binding, name]) => [binding, tensors[name]]));
    pass.setPipeline(made[i]);
    pass.setBindGroup(0, bindGroup(device, made[i], kernel, named));
    pass.dispatchWorkgroups(groups[0], groups[1] ?? 1, groups[2] ?? 1);
  });
  pass.end();
  device.queue.submit([encoder.finish()]);
  const refused = await device.popErrorScope();
  if (refused) throw new Error(`The GPU refuses it: ${refused.message}`);
  const { offset: at = 0 } = tensors[result];
  const piece = { from: buffer(TUNE_OUT), at, to: 0, bytes: right.byteLength };
  return readFloats(device, buffer(READBACK), [piece]);
}
