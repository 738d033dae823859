/**
 * The GPU's WeightSink: row slices go to upload buffers and from there, by a kernel, into the layout that the other
 * kernels read; dense slices of a q4 matrix are quantised on the way. The queue keeps the order, so one set of upload
 * buffers serves every slice.
 */
import { NibbleError } from '../../errors';
import type { RowSlice } from '../../formats/matrix';
import { denseValues } from '../../formats/half';
import type { Pipelines } from '../../gpu/pipelines';
import type { Kernel } from '../../kernels/library';
import { flatGroups, quantizeKernel, scatterKernel } from '../../kernels/upload';
import { CHUNK_COLUMNS, chunkBytes, type DeviceMatrix } from '../../memory/layout';
import { biasBuffer, SLICE_BYTES, SLICE_SCALE_BYTES } from '../../memory/plan';
import type { Step } from '../../model/steps';
import type { WeightSink } from '../executor';

interface Target {
  matrix: DeviceMatrix;
  firstRow: number;
  rows: number;
  at: number;
}

type Buffers = (name: string) => GPUBuffer;

/** At most this many slices may wait in the queue, so that writeBuffer's own copies stay bounded. */
const SLICES_IN_FLIGHT = 3;

export class GpuSink implements WeightSink {
  readonly #device: GPUDevice;
  readonly #pipelines: Pipelines;
  readonly #buffer: Buffers;
  readonly #targets = new Map<string, Target[]>();
  readonly #vectors = new Map<string, { buffer: string; at: number; length: number }>();
  readonly #missing = new Map<string, number>();
  readonly #done: () => void;
  #inFlight: Promise<unknown>[] = [];

  constructor(
    device: GPUDevice,
    pipelines: Pipelines,
    buffer: Buffers,
    matrices: readonly DeviceMatrix[],
    vectors: ReadonlyMap<string, number>,
    steps: readonly Step[],
    done: () => void,
  ) {
    this.#device = device;
    this.#pipelines = pipelines;
    this.#buffer = buffer;
    this.#done = done;
    for (const matrix of matrices) {
      for (const part of matrix.parts) {
        const targets = this.#targets.get(part.tensor) ?? [];
        targets.push({ matrix, firstRow: part.firstRow, rows: part.rows, at: part.at });
        this.#targets.set(part.tensor, targets);
        this.#missing.set(part.tensor, (this.#missing.get(part.tensor) ?? 0) + part.rows);
      }
    }
    for (const [name, length] of vectors) {
      this.#vectors.set(name, { buffer: name, at: 0, length });
      this.#missing.set(name, 1);
    }
    for (const step of steps) {
      const stacked = step.op === 'linear' ? biasBuffer(step) : null;
      if (step.op !== 'linear' || !stacked) continue;
      let at = 0;
      for (const part of step.parts) {
        if (part.bias) this.#vectors.set(part.bias, { buffer: stacked, at, length: part.rows });
        at += part.rows;
      }
    }
  }

  writeVector(name: string, values: Float32Array): void {
    const vector = this.#vectors.get(name);
    if (!vector || vector.length !== values.length) {
      throw new NibbleError('corrupt-checkpoint', `The vector ${name} has ${values.length} values; the model needs ${vector?.length ?? 'none'}.`, {
        name,
        length: values.length,
      });
    }
    this.#device.queue.writeBuffer(this.#buffer(vector.buffer), vector.at * 4, values as Float32Array<ArrayBuffer>);
    this.#missing.delete(name);
  }

  async write(name: string, slice: RowSlice): Promise<void> {
    const targets = this.#targets.get(name);
    if (!targets) throw new NibbleError('corrupt-checkpoint', `The model has no matrix ${name}.`, { name });
    for (const target of targets) {
      const from = Math.max(slice.row0, target.firstRow);
      const to = Math.min(slice.row0 + slice.rows, target.firstRow + target.rows);
      // A slice may exceed the upload buffers where scales outgrow what is stored: take it in pieces.
      const step = rowsThatFit(target.matrix, slice);
      for (let row = from; row < to; row += step) {
        await this.#upload(target, slice, row, Math.min(to, row + step));
        this.#missing.set(name, (this.#missing.get(name) ?? 0) - (Math.min(to, row + step) - row));
      }
    }
  }

  async #upload({ matrix, firstRow, at }: Target, slice: RowSlice, from: number, to: number): Promise<void> {
    if (slice.cols !== matrix.cols) {
      throw new NibbleError('corrupt-checkpoint', `${matrix.name} has ${slice.cols} columns; the model needs ${matrix.cols}.`, {
        name: matrix.name,
        columns: slice.cols,
        expected: matrix.cols,
      });
    }
    const rows = to - from;
    const first = from - slice.row0;
    const job = { rows, first: at + from - firstRow, of: matrix.rows };
    if (matrix.format.type === 'q4' && slice.type === 'dense') {
      const bytes = (slice.cols * (slice.dense === 'f32' ? 4 : 2)) | 0;
      this.#write('upload.codes', slice.data.subarray(first * bytes, (first + rows) * bytes));
      await this.#run(quantizeKernel(slice.dense), 0, [job.rows, job.first, job.of, slice.cols], [
        'upload.codes', `${matrix.name}.codes`, `${matrix.name}.scales`,
      ], (rows * slice.cols) / 64);
    } else {
      const codes = rowBytes(matrix, slice, first, rows);
      this.#write('upload.codes', codes);
      const words = codes.byteLength / 4 / rows;
      await this.#run(scatterKernel(), 0, [job.rows, job.first, job.of, words, chunkBytes(matrix.format) / 4], ['upload.codes', `${matrix.name}.codes`], rows * words);
      if (slice.type !== 'dense') {
        const perRow = slice.scales.length / slice.rows;
        for (const [i, kind] of (['scales', 'offsets'] as const).entries()) {
          const values = slice[kind];
          if (!values) continue;
          this.#write(`upload.${kind}`, values.subarray(first * perRow, (first + rows) * perRow));
          await this.#run(scatterKernel(), 1 + i, [job.rows, job.first, job.of, perRow, 1], [`upload.${kind}`, `${matrix.name}.${kind}`], rows * perRow);
        }
      }
    }
    await this.#settle();
  }

  #write(name: string, data: ArrayBufferView): void {
    const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
    const whole = bytes.byteLength & ~3;
    this.#device.queue.writeBuffer(this.#buffer(name), 0, bytes, 0, whole);
    if (whole < bytes.byteLength) {
      const tail = new Uint8Array(4);
      tail.set(bytes.subarray(whole));
      this.#device.queue.writeBuffer(this.#buffer(name), whole, tail);
    }
  }

  async #run(kernel: Kernel, job: number, words: number[], names: string[], items: number): Promise<void> {
    const pipeline = await this.#pipelines.get(kernel);
    const device = this.#device;
    const jobs = this.#buffer('upload.jobs');
    device.queue.writeBuffer(jobs, job * 256, new Uint32Array([...words, 0, 0, 0, 0, 0, 0, 0, 0].slice(0, 8)));
    const group = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [
        { binding: 0, resource: { buffer: jobs, offset: job * 256, size: 32 } },
        ...names.map((name, i) => ({ binding: i + 1, resource: { buffer: this.#buffer(name) } })),
      ],
    });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(...flatGroups(items));
    pass.end();
    device.queue.submit([encoder.finish()]);
  }

  async #settle(): Promise<void> {
    this.#inFlight.push(this.#device.queue.onSubmittedWorkDone());
    if (this.#inFlight.length >= SLICES_IN_FLIGHT) await this.#inFlight.shift();
  }

  async finish(): Promise<void> {
    for (const [name, rows] of this.#missing) {
      if (rows > 0) throw new NibbleError('corrupt-checkpoint', `The checkpoint ended without ${rows} rows of ${name}.`, { name, rows });
    }
    await Promise.all(this.#inFlight);
    this.#inFlight = [];
    this.#done();
  }
}

/** Rows of a slice whose codes, scales and offsets fit the upload buffers. */
function rowsThatFit(matrix: DeviceMatrix, slice: RowSlice): number {
  const dense = slice.type === 'dense' && matrix.format.type === 'q4' ? (slice.dense === 'f32' ? 4 : 2) : 0;
  const codes = dense ? slice.cols * dense : Math.ceil(slice.cols / CHUNK_COLUMNS) * chunkBytes(matrix.format);
  const scales = slice.type === 'dense' ? 0 : (slice.scales.length / slice.rows) * 4;
  return Math.max(1, Math.min(Math.floor(SLICE_BYTES / codes), scales ? Math.floor(SLICE_SCALE_BYTES / scales) : slice.rows));
}

/** The codes of some rows as the layout wants them: the slice's own bytes, or dense values converted and padded. */
function rowBytes(matrix: DeviceMatrix, slice: RowSlice, first: number, rows: number): Uint8Array {
  const { cols } = slice;
  if (slice.type !== 'dense') {
    if (slice.type !== matrix.format.type) throw mismatch(matrix, slice.type);
    const perRow = slice.type === 'q4' ? cols / 2 : cols;
    return new Uint8Array(slice.codes.buffer, slice.codes.byteOffset + first * perRow, rows * perRow);
  }
  const type = matrix.format.type;
  if (type === 'q4' || type === 'q8') throw mismatch(matrix, slice.dense);
  const source = slice.dense === 'f32' ? 4 : 2;
  if (type === slice.dense && cols % CHUNK_COLUMNS === 0) return slice.data.subarray(first * cols * source, (first + rows) * cols * source);
  const padded = Math.ceil(cols / CHUNK_COLUMNS) * CHUNK_COLUMNS;
  const size = type === 'f32' ? 4 : 2;
  const out = new Uint8Array(rows * padded * size);
  if (type === slice.dense) {
    for (let r = 0; r < rows; r++) out.set(slice.data.subarray((first + r) * cols * size, (first + r + 1) * cols * size), r * padded * size);
    return out;
  }
  if (type !== 'f32') throw mismatch(matrix, slice.dense);
  const values = new Float32Array(out.buffer);
  const exact = denseValues(slice.data.subarray(first * cols * source, (first + rows) * cols * source), slice.dense);
  for (let r = 0; r < rows; r++) values.set(exact.subarray(r * cols, (r + 1) * cols), r * padded);
  return out;
}

const mismatch = (matrix: DeviceMatrix, type: string): NibbleError =>
  new NibbleError('unsupported-quantization', `${matrix.name} is planned as ${matrix.format.type} but arrives as ${type}.`, {
    name: matrix.name,
    planned: matrix.format.type,
    arrived: type,
  });
