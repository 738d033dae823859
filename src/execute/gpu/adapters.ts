/** Adapters on the GPU: their values into the kernels' layout, and what DoRA asks of the weights underneath. */
import { denseBytes } from '../../formats/half';
import type { DenseType } from '../../formats/matrix';
import type { Ledger } from '../../gpu/ledger';
import type { Pipelines } from '../../gpu/pipelines';
import { readMapped } from '../../gpu/readback';
import { rowNormsGroups, rowNormsKernel } from '../../kernels/row-norms';
import { type ActiveAdapters, type BaseWeights, outputShape, type StepAdapters } from '../../memory/adapted';
import { CHUNK_COLUMNS, type DeviceMatrix } from '../../memory/layout';
import { biasBuffer } from '../../memory/plan';
import type { Step } from '../../model/steps';

const [MAP_READ, COPY_SRC, COPY_DST, STORAGE] = [0x1, 0x4, 0x8, 0x80];

/** Fills the adapters' buffers, step by step, so that no more than one step's values are in memory. */
export async function uploadAdapters(
  device: GPUDevice,
  active: ActiveAdapters,
  adapters: StepAdapters,
  base: BaseWeights,
  buffers: ReadonlyMap<string, GPUBuffer>,
): Promise<void> {
  for (const adapter of adapters.values()) {
    const values = await active.read(adapter, base);
    for (const [matrices, all] of [
      [adapter.a, values.a],
      [adapter.b, values.b],
    ] as const) {
      for (const matrix of matrices) {
        const type = matrix.format.type as DenseType;
        write(device, buffers.get(`${matrix.name}.codes`)!, denseBytes(inChunks(all, matrix), type));
      }
    }
    if (adapter.biases) write(device, buffers.get(adapter.biases.buffer)!, denseBytes(values.bias!, 'f32'));
    await device.queue.onSubmittedWorkDone();
  }
}

const write = (device: GPUDevice, buffer: GPUBuffer, bytes: Uint8Array): void =>
  device.queue.writeBuffer(buffer, 0, bytes as Uint8Array<ArrayBuffer>);

/** The rows of a matrix, of values [rows, cols], as memory/layout.ts has them: [chunk][row][32 columns]. */
function inChunks(values: Float32Array, { rows, cols, outputRow }: DeviceMatrix): Float32Array {
  const chunks = Math.ceil(cols / CHUNK_COLUMNS);
  const out = new Float32Array(chunks * rows * CHUNK_COLUMNS);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const first = chunk * CHUNK_COLUMNS;
    const last = Math.min(cols, first + CHUNK_COLUMNS);
    for (let r = 0; r < rows; r++) {
      const row = (outputRow + r) * cols;
      out.set(values.subarray(row + first, row + last), (chunk * rows + r) * CHUNK_COLUMNS);
    }
  }
  return out;
}

/** The weights of a loaded model. Buffers that are needed for a question exist only while it is answered. */
export class GpuBase implements BaseWeights {
  readonly #device: GPUDevice;
  readonly #ledger: Ledger;
  readonly #pipelines: Pipelines;
  readonly #matrices: readonly DeviceMatrix[];
  readonly #steps: readonly Step[];
  readonly #buffer: (name: string) => GPUBuffer;

  constructor(
    device: GPUDevice,
    ledger: Ledger,
    pipelines: Pipelines,
    matrices: readonly DeviceMatrix[],
    steps: readonly Step[],
    buffer: (name: string) => GPUBuffer,
  ) {
    this.#device = device;
    this.#ledger = ledger;
    this.#pipelines = pipelines;
    this.#matrices = matrices;
    this.#steps = steps;
    this.#buffer = buffer;
  }

  async rowNorms(index: number, a: Float32Array, b: Float32Array, rank: number): Promise<Float32Array> {
    const step = this.#steps[index];
    const names = step.op === 'linear' ? step.parts.map((part) => part.name) : [];
    const matrices = this.#matrices.filter(({ parts }) => parts.some(({ tensor }) => names.includes(tensor)));
    const [rows, cols] = outputShape(step);
    const wide = Math.ceil(cols / CHUNK_COLUMNS) * CHUNK_COLUMNS;
    const padded = new Float32Array(rank * wide);
    for (let k = 0; k < rank; k++) padded.set(a.subarray(k * cols, (k + 1) * cols), k * wide);
    const asked = [
      { name: 'norms.a', bytes: padded.byteLength, usage: STORAGE | COPY_DST },
      { name: 'norms.b', bytes: b.byteLength, usage: STORAGE | COPY_DST },
      { name: 'norms', bytes: rows * 4, usage: STORAGE | COPY_SRC },
    ];
    const made = await this.#ledger.allocate(asked.map((request) => ({ ...request, purpose: 'staging' })));
    try {
      write(this.#device, made[0], denseBytes(padded, 'f32'));
      write(this.#device, made[1], denseBytes(b, 'f32'));
      const encoder = this.#device.createCommandEncoder();
      for (const matrix of matrices) {
        const pipeline = await this.#pipelines.get(rowNormsKernel(matrix, rank));
        const { codes, scales, offsets } = matrix.bytes;
        const bound: [number, GPUBuffer][] = [
          ...(['codes', 'scales', 'offsets'] as const).flatMap((kind, i): [number, GPUBuffer][] =>
            ({ codes, scales, offsets })[kind] ? [[i, this.#buffer(`${matrix.name}.${kind}`)]] : [],
          ),
          [3, made[0]],
          [4, made[1]],
          [5, made[2]],
        ];
        const pass = encoder.beginComputePass();
        pass.setPipeline(pipeline);
        const entries = bound.map(([binding, buffer]) => ({ binding, resource: { buffer } }));
        pass.setBindGroup(0, this.#device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
        pass.dispatchWorkgroups(rowNormsGroups(matrix.rows));
        pass.end();
      }
      this.#device.queue.submit([encoder.finish()]);
      return await this.#read(made[2], rows);
    } finally {
      for (const buffer of made) this.#ledger.release(buffer);
    }
  }

  async biases(index: number): Promise<Float32Array> {
    const step = this.#steps[index];
    const [rows] = outputShape(step);
    const name = step.op === 'linear' ? biasBuffer(step) : null;
    return name ? this.#read(this.#buffer(name), rows) : new Float32Array(rows);
  }

  async #read(from: GPUBuffer, values: number): Promise<Float32Array> {
    const bytes = values * 4;
    const [target] = await this.#ledger.allocate([
      { name: 'read', purpose: 'staging', bytes, usage: MAP_READ | COPY_DST },
    ]);
    try {
      const encoder = this.#device.createCommandEncoder();
      encoder.copyBufferToBuffer(from, 0, target, 0, bytes);
      this.#device.queue.submit([encoder.finish()]);
      return new Float32Array(await readMapped(this.#device, target, bytes));
    } finally {
      this.#ledger.release(target);
    }
  }
}
