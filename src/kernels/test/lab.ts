/** For tests: single kernels on buffers of one's own, and matrices in the kernels' layout made from its description. */

import { createMatrix, rowValues, writeRows } from '../../execute/cpu/matrix';
import { randomValues } from '../../execute/cpu/test/models';
import type { MatrixFormat, NestedScales, RowSlice } from '../../formats/matrix';
import { Pipelines } from '../../gpu/pipelines';
import { readMapped } from '../../gpu/readback';
import { READ_USAGE, STORAGE_USAGE } from '../../gpu/usage';
import { stateWords } from '../../memory/gpu-scratch';
import { type DeviceMatrix, matrixBytes } from '../../memory/layout';
import { type ByBinding, bindGroup, type Kernel } from '../kernel';
import type { MATRIX_BINDINGS } from '../matrix';
import { packedRows, randomBlocks } from './k-quants';
import { laidOut } from './laid-out';

export type Data = Float32Array | Uint32Array | Uint16Array | Uint8Array | Int8Array;

export type Buffers<B extends string = string> = ByBinding<B, GPUBuffer>;

/** Makes buffers, runs kernels, reads back; dispose() frees what was made. */
export class Lab {
  private readonly made: GPUBuffer[] = [];
  private constructor(readonly device: GPUDevice) {}

  /** @param device of a bench; the tests' own where it is absent */
  static async open(device?: GPUDevice): Promise<Lab> {
    return new Lab(device ?? (await (await import('../../gpu/test-device')).testGpu()).device);
  }

  /** A storage buffer with these bytes, padded to whole words, or of this many zero bytes. */
  buffer(content: Data | number): GPUBuffer {
    const bytes = typeof content === 'number' ? content : content.byteLength;
    const buffer = this.device.createBuffer({ size: Math.max(4, Math.ceil(bytes / 4) * 4), usage: STORAGE_USAGE });
    this.made.push(buffer);
    if (typeof content !== 'number') {
      const padded = new Uint8Array(buffer.size);
      padded.set(new Uint8Array(content.buffer, content.byteOffset, bytes));
      this.device.queue.writeBuffer(buffer, 0, padded);
    }
    return buffer;
  }

  /** One dispatch; a call that the GPU refuses throws. */
  run<B extends string>(kernel: Kernel<B>, buffers: Buffers<NoInfer<B>>, groups: readonly number[]): Promise<void> {
    return this.runAll([[kernel, buffers, groups]]);
  }

  /** Dispatches one after another, `times` over, in one submit. */
  async runAll(jobs: readonly (readonly [Kernel, Buffers, readonly number[]])[], times = 1): Promise<void> {
    const pipelines = await Promise.all(jobs.map(([kernel]) => Pipelines.of(this.device).get(kernel)));
    this.device.pushErrorScope('validation');
    const bound = jobs.map(([kernel, buffers], i) => bindGroup(this.device, pipelines[i], kernel, buffers));
    const encoder = this.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let n = 0; n < times; n++) {
      jobs.forEach(([, , groups], i) => {
        pass.setPipeline(pipelines[i]);
        pass.setBindGroup(0, bound[i]);
        pass.dispatchWorkgroups(groups[0], groups[1] ?? 1, groups[2] ?? 1);
      });
    }
    pass.end();
    this.device.queue.submit([encoder.finish()]);
    const refused = await this.device.popErrorScope();
    if (refused) throw new Error(`${jobs[0][0].label}: ${refused.message}`);
  }

  async bytes(buffer: GPUBuffer): Promise<ArrayBuffer> {
    const target = this.device.createBuffer({ size: buffer.size, usage: READ_USAGE });
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, 0, target, 0, buffer.size);
    this.device.queue.submit([encoder.finish()]);
    const bytes = await readMapped(this.device, target, buffer.size);
    target.destroy();
    return bytes;
  }

  async floats(buffer: GPUBuffer): Promise<Float32Array> {
    return new Float32Array(await this.bytes(buffer));
  }

  async words(buffer: GPUBuffer): Promise<Uint32Array> {
    return new Uint32Array(await this.bytes(buffer));
  }

  dispose(): void {
    for (const buffer of this.made.splice(0)) buffer.destroy();
  }
}

/** The `state` buffer of a pass: position of the first token, tokens. */
export const passState = (start: number, tokens: number): Uint32Array => stateWords(start, tokens);

/** A matrix alone in its linear step. */
export function deviceMatrix(format: MatrixFormat, rows: number, cols: number, outputRow = 0): DeviceMatrix {
  const parts = [{ tensor: 'w', firstRow: 0, rows, at: 0 }];
  return { name: 'w', rows, cols, format, outputRow, parts, bytes: matrixBytes(format, rows, cols, 'webgpu') };
}

/** Random rows in the form that `format` is stored in. */
export function randomSlice(format: MatrixFormat, rows: number, cols: number, seed: number): RowSlice {
  const whole = { row0: 0, rows, cols };
  const values = randomValues(rows * cols, seed);
  if (format.type !== 'q4' && format.type !== 'q8') {
    const matrix = createMatrix('w', rows, cols, format);
    writeRows(matrix, { ...whole, type: 'dense', dense: 'f32', data: new Uint8Array(values.buffer) });
    const data = new Uint8Array(matrix.codes.buffer as ArrayBuffer);
    return { ...whole, type: 'dense', dense: format.type, data };
  }
  if (format.levels && format.levels !== 'nested')
    return { ...whole, ...randomBlocks(format.levels, rows * cols, seed) };
  const block = format.block === 'row' ? cols : format.block;
  const small = (v: number) => v / (format.type === 'q8' ? 127 : 1);
  const scales = randomValues((rows * cols) / block, seed + 1).map(small);
  const offsets = format.offset ? randomValues((rows * cols) / block, seed + 2) : null;
  const common = { ...whole, block, scales, offsets };
  const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => 128 + 127.9 * values[i]);
  if (format.type === 'q8') return { ...common, type: 'q8', codes: Int8Array.from(values, (v) => 127.9 * v) };
  const codes = bytes(values.length / 2);
  if (!format.levels) return { ...common, type: 'q4', codes };
  const nested: NestedScales = {
    codes: bytes(scales.length).reverse(),
    absmax: randomValues(Math.ceil(scales.length / 256), seed + 3),
    map: randomValues(256, seed + 4),
    offset: Math.fround(seed / 100),
  };
  const scaleOf = (_: number, b: number) =>
    Math.fround(nested.map[nested.codes[b]] * nested.absmax[b >> 8]) + nested.offset;
  return { ...common, type: 'q4', codes, scales: scales.map(scaleOf), nested };
}

/** Rows [from, to) of a slice. */
export function rowsOf(slice: RowSlice, from: number, to: number): RowSlice {
  const part = <T extends Uint8Array | Int8Array | Float32Array>(values: T) =>
    values.slice((from * values.length) / slice.rows, (to * values.length) / slice.rows) as T;
  const whole = { ...slice, row0: slice.row0 + from, rows: to - from };
  if (whole.type === 'packed') return { ...whole, ...packedRows(whole.levels, part(whole.data)) };
  if (whole.type === 'dense') return { ...whole, data: part(whole.data) };
  const statistics = { scales: part(whole.scales), offsets: whole.offsets && part(whole.offsets) };
  return whole.type === 'q4'
    ? { ...whole, ...statistics, codes: part(whole.codes) }
    : { ...whole, ...statistics, codes: part(whole.codes) };
}

/** What a kernel that reads a matrix binds for it. */
export function matrixBindings(lab: Lab, format: MatrixFormat, slice: RowSlice): Buffers<keyof typeof MATRIX_BINDINGS> {
  const kinds = Object.entries(laidOut(format, slice)).map(([kind, bytes]) => [kind, lab.buffer(bytes)]);
  return Object.fromEntries(kinds);
}

/** The same matrix on the CPU. */
export function cpuMatrix(format: MatrixFormat, slice: RowSlice) {
  const matrix = createMatrix('w', slice.rows, slice.cols, format);
  writeRows(matrix, slice);
  return matrix;
}

export function cpuRow(format: MatrixFormat, slice: RowSlice, row: number): Float64Array {
  const out = new Float64Array(slice.cols);
  rowValues(cpuMatrix(format, slice), row, out, 0);
  return out;
}
