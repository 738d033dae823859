/**
 * The GPU's WeightSink: row slices go to upload buffers and from there, by a kernel, into the layout that the other
 * kernels read; K-quants go as the file has them, and dense slices of a q4 matrix are quantised on the way. The queue
 * keeps the order, so one set of upload buffers serves every slice.
 */
import { NibbleError } from '../../errors';
import { levelsOf, NF4_CODEBOOK, type PackedRows, type RowSlice } from '../../formats/matrix';
import type { Pipelines } from '../../gpu/pipelines';
import { submittedWorkDone } from '../../gpu/wait';
import { type ByBinding, bindGroup, type Kernel, named } from '../../kernels/kernel';
import { nestedParts } from '../../kernels/matrix';
import { scatterKernel, uploadGroups } from '../../kernels/scatter';
import { BINDING_OFFSET, SLICE_BYTES, SLICE_SCALE_BYTES } from '../../memory/gpu-scratch';
import {
  CHUNK_COLUMNS,
  chunkBytes,
  type DeviceMatrix,
  matrixBuffers,
  NESTED_HEAD,
  NESTED_PAIR,
  roundUp,
  SUPER_COLUMNS,
} from '../../memory/layout';
import { biasBuffer } from '../../memory/plan';
import type { Step } from '../../model/steps';
import { hastenCollection } from '../../platform/release';
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

/** Asked for with each slice, of 1 MiB at most. With half of it the renderer had up to 64 MiB above its start. */
const UNTOUCHED_BYTES = 8 << 20;

export class GpuSink implements WeightSink {
  readonly #device: GPUDevice;
  readonly #pipelines: Pipelines;
  readonly #buffer: Buffers;
  readonly #targets = new Map<string, Target[]>();
  readonly #vectors = new Map<string, { buffer: string; at: number; length: number }>();
  readonly #missing = new Map<string, number>();
  readonly #done: () => void;
  #inFlight: Promise<unknown>[] = [];
  /** what the queue is shown, and copies at once: not the slice itself, see platform/release.ts */
  #shown = new Uint8Array(0);

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
      throw new NibbleError(
        'corrupt-checkpoint',
        `The vector ${name} has ${values.length} values; the model needs ${vector?.length ?? 'none'}.`,
        {
          name,
          length: values.length,
        },
      );
    }
    this.#device.queue.writeBuffer(this.#buffer(vector.buffer), vector.at * 4, values as Float32Array<ArrayBuffer>);
    this.#missing.delete(name);
  }

  async write(name: string, slice: RowSlice): Promise<void> {
    const targets = this.#targets.get(name);
    if (!targets) throw new NibbleError('corrupt-checkpoint', `The model has no matrix ${name}.`, { name });
    hastenCollection(UNTOUCHED_BYTES);
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
      throw new NibbleError(
        'corrupt-checkpoint',
        `${matrix.name} has ${slice.cols} columns; the model needs ${matrix.cols}.`,
        {
          name: matrix.name,
          columns: slice.cols,
          expected: matrix.cols,
        },
      );
    }
    const rows = to - from;
    const first = from - slice.row0;
    const place = [rows, at + from - firstRow, matrix.rows];
    if (matrix.format.type === 'q4' && slice.type === 'dense') {
      const { format } = matrix;
      const plain = format.block === 64 && !format.offset && !format.levels;
      if (!plain || format.codebook.some((value, i) => value !== NF4_CODEBOOK[i])) throw mismatch(matrix, slice.dense);
      const { quantizeKernel } = await import('../../kernels/quantize');
      const bytes = slice.cols * (slice.dense === 'f32' ? 4 : 2);
      this.#write('upload.codes', slice.data.subarray(first * bytes, (first + rows) * bytes));
      await this.#run(
        quantizeKernel(slice.dense),
        0,
        [...place, slice.cols],
        { source: 'upload.codes', codes: `${matrix.name}.codes`, scales: `${matrix.name}.scales` },
        (rows * slice.cols) / 64,
      );
    } else if (slice.type === 'packed') await this.#scatterBlocks(matrix, slice, first, rows, place);
    else {
      const planned = await plannedRows(matrix, slice, first, rows);
      for (const [job, kind] of (['codes', 'scales', 'offsets'] as const).entries()) {
        const data = planned[kind];
        if (!data) continue;
        this.#write(`upload.${kind}`, data);
        const words = data.byteLength / 4 / rows;
        const chunk = kind === 'codes' ? chunkBytes(matrix.format) / 4 : 1;
        await this.#run(
          scatterKernel(),
          job,
          [...place, words, chunk],
          { source: `upload.${kind}`, destination: `${matrix.name}.${kind}` },
          rows * words,
        );
      }
      if (from === firstRow) this.#writeNested(matrix, slice, at);
    }
    await this.#settle();
  }

  /** Rows of a K-quant, as the file has them. */
  async #scatterBlocks(
    matrix: DeviceMatrix,
    slice: RowSlice & PackedRows,
    first: number,
    rows: number,
    place: number[],
  ): Promise<void> {
    const { levels, data } = slice;
    if (levels !== levelsOf(matrix.format)) throw mismatch(matrix, levels);
    checkScales(matrix, slice);
    const bytes = data.byteLength / slice.rows;
    this.#write('upload.codes', data.subarray(first * bytes, (first + rows) * bytes));
    const { scatterKKernel } = await import('../../kernels/scatter-k');
    await this.#run(
      scatterKKernel(levels),
      0,
      [...place, matrix.cols / SUPER_COLUMNS],
      { source: 'upload.codes', ...matrixBuffers(matrix) },
      rows * Math.ceil(matrix.cols / CHUNK_COLUMNS),
    );
  }

  /** What the nested scales of a tensor are made with, once: with the tensor's first row in this matrix, row `at`. */
  #writeNested(matrix: DeviceMatrix, slice: RowSlice, at: number): void {
    if (slice.type !== 'q4' || !slice.nested || levelsOf(matrix.format) !== 'nested') return;
    const { absmax, map, offset } = slice.nested;
    for (const { at: row, table, groups } of nestedParts(matrix)) {
      if (row !== at) continue;
      const pairs = new Float32Array(2 * (NESTED_HEAD + groups.count));
      for (let code = 0; code < NESTED_HEAD; code++) pairs.set([map[code], offset], 2 * code);
      for (let i = 0; i < groups.count; i++) pairs[2 * (NESTED_HEAD + i)] = absmax[groups.first + i];
      this.#write(`${matrix.name}.nested`, pairs, NESTED_PAIR * table);
    }
  }

  #write(name: string, data: ArrayBufferView, at = 0): void {
    const { byteLength } = data;
    const padded = (byteLength + 3) & ~3;
    if (this.#shown.length < padded) this.#shown = new Uint8Array(padded);
    this.#shown.set(new Uint8Array(data.buffer, data.byteOffset, byteLength));
    this.#shown.fill(0, byteLength, padded);
    this.#device.queue.writeBuffer(this.#buffer(name), at, this.#shown, 0, padded);
  }

  async #run<B extends string>(
    kernel: Kernel<B | 'job'>,
    job: number,
    words: number[],
    names: ByBinding<NoInfer<B>, string>,
    items: number,
  ): Promise<void> {
    const pipeline = await this.#pipelines.get(kernel);
    const device = this.#device;
    const jobs = this.#buffer('upload.jobs');
    device.queue.writeBuffer(
      jobs,
      job * BINDING_OFFSET,
      new Uint32Array([...words, 0, 0, 0, 0, 0, 0, 0, 0].slice(0, 8)),
    );
    const bound = { ...named(names, this.#buffer), job: { buffer: jobs, offset: job * BINDING_OFFSET, size: 32 } };
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup(device, pipeline, kernel, bound));
    pass.dispatchWorkgroups(...uploadGroups(items));
    pass.end();
    device.queue.submit([encoder.finish()]);
  }

  async #settle(): Promise<void> {
    this.#inFlight.push(submittedWorkDone(this.#device));
    if (this.#inFlight.length >= SLICES_IN_FLIGHT) await this.#inFlight.shift();
  }

  async finish(): Promise<void> {
    for (const [name, rows] of this.#missing) {
      if (rows > 0)
        throw new NibbleError('corrupt-checkpoint', `The checkpoint ended without ${rows} rows of ${name}.`, {
          name,
          rows,
        });
    }
    await Promise.all(this.#inFlight);
    this.#inFlight = [];
    this.#done();
  }
}

/** Rows of a slice whose codes, scales and offsets fit the upload buffers. */
function rowsThatFit(matrix: DeviceMatrix, slice: RowSlice): number {
  if (slice.type === 'packed') return Math.max(1, Math.floor((SLICE_BYTES * slice.rows) / slice.data.byteLength));
  const dense = slice.type === 'dense' && matrix.format.type === 'q4' ? (slice.dense === 'f32' ? 4 : 2) : 0;
  const codes = dense ? slice.cols * dense : Math.ceil(slice.cols / CHUNK_COLUMNS) * chunkBytes(matrix.format);
  const scales = slice.type === 'dense' ? 0 : (slice.scales.length / slice.rows) * 4;
  return Math.max(
    1,
    Math.min(Math.floor(SLICE_BYTES / codes), scales ? Math.floor(SLICE_SCALE_BYTES / scales) : slice.rows),
  );
}

/** Some rows of a slice in the matrix's own type, row-major; dense rows padded to whole chunks. */
async function plannedRows(
  matrix: DeviceMatrix,
  slice: Exclude<RowSlice, { type: 'packed' }>,
  first: number,
  rows: number,
): Promise<Record<'codes' | 'scales' | 'offsets', ArrayBufferView | null>> {
  const { format, cols } = matrix;
  const part = (all: Uint8Array | Int8Array | Float32Array | null) =>
    all &&
    new Uint8Array(
      all.buffer as ArrayBuffer,
      all.byteOffset + (first * all.byteLength) / slice.rows,
      (rows * all.byteLength) / slice.rows,
    );
  if (slice.type !== 'dense') {
    const same =
      slice.type === format.type &&
      slice.block === (format.block === 'row' ? cols : format.block) &&
      !slice.offsets === !format.offset;
    const nested = slice.type === 'q4' ? slice.nested : undefined;
    const levels = levelsOf(format);
    if (!same || (levels && !(levels === 'nested' && nested)))
      throw mismatch(matrix, `${slice.type} in blocks of ${slice.block}`);
    if (!levels || !nested)
      return { codes: part(slice.codes), scales: part(slice.scales), offsets: part(slice.offsets) };
    const blocks = cols / slice.block;
    const own = nested.codes.subarray((slice.row0 + first) * blocks, (slice.row0 + first + rows) * blocks);
    return { codes: part(slice.codes), scales: padded(own, rows, blocks, 4), offsets: null };
  }
  let codes = part(slice.data) as Uint8Array;
  let scales: Float32Array | null = null;
  if (format.type !== slice.dense) {
    const { convertDense } = await import('../convert-dense');
    ({ codes, scales } = convertDense(matrix.name, format, { ...slice, rows, data: codes }));
  }
  return {
    codes: padded(codes, rows, (chunkBytes(format) / CHUNK_COLUMNS) * cols, chunkBytes(format)),
    scales,
    offsets: null,
  };
}

/** Rows of `bytes`, each filled up with zeros to a multiple of `multiple`. */
function padded(data: Uint8Array, rows: number, bytes: number, multiple: number): Uint8Array {
  const wide = roundUp(bytes, multiple);
  if (wide === bytes) return data;
  const out = new Uint8Array(rows * wide);
  for (let r = 0; r < rows; r++) out.set(data.subarray(r * bytes, (r + 1) * bytes), r * wide);
  return out;
}

/** Q4_K and Q5_K hold their f16 with exponents that are 10 more (shaders/lib/scales-k.wgsl): no weights come near. */
function checkScales({ name }: DeviceMatrix, { levels, data, block, halves }: PackedRows): void {
  if (levels === 'Q6_K') return;
  for (const half of halves) {
    for (let at = half + 1; at < data.length; at += block) {
      if ((data[at] & 0x7c) < 0x58) continue;
      const message = `${name} has scales of 128 or more, which ${levels} cannot have on the GPU. Use backend "cpu".`;
      throw new NibbleError('unsupported-quantization', message, { name, levels });
    }
  }
}

const mismatch = (matrix: DeviceMatrix, type: string): NibbleError =>
  new NibbleError(
    'unsupported-quantization',
    `${matrix.name} is planned as ${levelsOf(matrix.format) ?? matrix.format.type} but arrives as ${type}.`,
    {
      name: matrix.name,
      planned: levelsOf(matrix.format) ?? matrix.format.type,
      arrived: type,
    },
  );
