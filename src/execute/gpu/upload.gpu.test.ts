/** The sink: what reaches the weights' buffers is the layout of memory/layout.ts, bit for bit, for every format in. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { denseBytes, denseValues } from '../../formats/half';
import {
  type DenseType,
  LINEAR_CODEBOOK,
  type MatrixFormat,
  NF4_CODEBOOK,
  type PackedRows,
  type RowSlice,
} from '../../formats/matrix';
import { NF4_THRESHOLDS, quantizeNf4 } from '../../formats/quantize-nf4';
import { Pipelines } from '../../gpu/pipelines';
import { K_QUANTS } from '../../kernels/test/k-quants';
import { deviceMatrix, Lab, randomSlice, rowsOf } from '../../kernels/test/lab';
import { laidOut } from '../../kernels/test/laid-out';
import { SLICE_BYTES, SLICE_SCALE_BYTES } from '../../memory/gpu-scratch';
import { type DeviceMatrix, deviceMatrices } from '../../memory/layout';
import { randomValues } from '../cpu/test/models';
import { GpuSink } from './upload';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterEach(() => lab.dispose());

const NF4: MatrixFormat = { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK };
const NESTED: MatrixFormat = { ...NF4, levels: 'nested' };
const { Q4_K, Q5_K, Q6_K } = K_QUANTS;
const dense = (type: DenseType, values: Float32Array, rows: number, row0 = 0): RowSlice => ({
  row0,
  rows,
  cols: values.length / rows,
  type: 'dense',
  dense: type,
  data: denseBytes(values, type),
});

/** A sink over matrices whose buffers hold a pattern that must vanish where data goes. */
function open(matrices: readonly DeviceMatrix[], uploadBytes = 1 << 16) {
  const buffers = new Map<string, GPUBuffer>();
  const add = (name: string, bytes: number) => buffers.set(name, lab.buffer(new Uint8Array(bytes).fill(0xaa)));
  for (const { name, bytes } of matrices)
    for (const [kind, size] of Object.entries(bytes)) if (size) add(`${name}.${kind}`, size);
  for (const name of ['codes', 'scales', 'offsets']) add(`upload.${name}`, uploadBytes);
  add('upload.jobs', 768);
  let finished = 0;
  const sink = new GpuSink(
    lab.device,
    Pipelines.of(lab.device),
    (name) => buffers.get(name)!,
    matrices,
    new Map(),
    [],
    () => finished++,
  );
  const read = async (name: string) => new Uint8Array(await lab.bytes(buffers.get(name)!));
  return { sink, read, finished: () => finished };
}

async function expectLaidOut(
  read: (name: string) => Promise<Uint8Array>,
  name: string,
  format: MatrixFormat,
  slice: RowSlice,
) {
  for (const [kind, right] of Object.entries(laidOut(format, slice))) {
    const bytes = await read(`${name}.${kind}`);
    expect(bytes.length).toBe(right.length);
    const at = bytes.findIndex((byte, i) => byte !== right[i]);
    expect({ kind, at, is: bytes[at], should: right[at] }).toEqual({ kind, at: -1 });
  }
}

describe('scatter', () => {
  it.each<[string, MatrixFormat, number]>([
    ['q4 in 64', NF4, 128],
    ['q4 in 32', { ...NF4, block: 32 }, 96],
    ['q4 in 32 with offsets', { type: 'q4', block: 32, offset: true, codebook: LINEAR_CODEBOOK }, 96],
    ['q8 in 32', { type: 'q8', block: 32, offset: false }, 96],
    ['Q4_K', Q4_K, 768],
    ['Q5_K', Q5_K, 768],
    ['Q6_K', Q6_K, 768],
    ['Q6_K of one block a row', Q6_K, 256],
    ['nested NF4', NESTED, 128],
    ['nested NF4 of more than a group a row', NESTED, 16448],
    ['nested NF4 in 32', { ...NESTED, block: 32 }, 96],
    ['q8 in 64 with offsets', { type: 'q8', block: 64, offset: true }, 64],
    ['q8 by row', { type: 'q8', block: 'row', offset: false }, 96],
    ['f16', { type: 'f16' }, 64],
    ['f16, ragged and odd', { type: 'f16' }, 75],
    ['bf16, ragged', { type: 'bf16' }, 60],
    ['f32', { type: 'f32' }, 64],
    ['f32, ragged', { type: 'f32' }, 60],
  ])('%s: slices of one and of many rows', async (_, format, cols) => {
    const rows = 11;
    const slice = randomSlice(format, rows, cols, 3);
    const { sink, read } = open([deviceMatrix(format, rows, cols)]);
    await sink.write('w', rowsOf(slice, 0, 7));
    await sink.write('w', rowsOf(slice, 7, 8));
    await sink.write('w', rowsOf(slice, 8, rows));
    await sink.finish();
    await expectLaidOut(read, 'w', format, slice);
  });

  it('into joined and split matrices, whose bounds cut slices', async () => {
    const parts = [
      { name: 'a', rows: 5, bias: null },
      { name: 'b', rows: 14, bias: null },
    ];
    const matrices = deviceMatrices({ parts, cols: 64 }, () => NF4, 8 * 32, 'webgpu');
    expect(matrices.map(({ rows }) => rows)).toEqual([8, 8, 3]);
    const whole = randomSlice(NF4, 19, 64, 8);
    const { sink, read } = open(matrices);
    await sink.write('b', { ...rowsOf(whole, 5, 9), row0: 0 });
    await sink.write('a', rowsOf(whole, 0, 5));
    await sink.write('b', { ...rowsOf(whole, 9, 19), row0: 4 });
    await sink.finish();
    for (const { name, outputRow, rows } of matrices)
      await expectLaidOut(read, name, NF4, rowsOf(whole, outputRow, outputRow + rows));
  });

  it('in pieces where one slice exceeds the upload buffers', async () => {
    const cols = 4096;
    const rows = SLICE_BYTES / (cols * 4) + 1;
    const slice = randomSlice({ type: 'f32' }, rows, cols, 2);
    const { sink, read } = open([deviceMatrix({ type: 'f32' }, rows, cols)], SLICE_BYTES);
    await sink.write('w', slice);
    await sink.finish();
    await expectLaidOut(read, 'w', { type: 'f32' }, slice);
    expect(SLICE_SCALE_BYTES).toBeGreaterThan(0);
  });
});

describe('what a plan may ask of a dense checkpoint', () => {
  const [rows, cols] = [6, 96];
  const values = randomValues(rows * cols, 5).map((v) => 3 * v);
  it.each<[DenseType, MatrixFormat]>([
    ['f16', { type: 'f32' }],
    ['bf16', { type: 'f32' }],
    ['bf16', { type: 'f16' }],
    ['f32', { type: 'f16' }],
    ['f32', { type: 'bf16' }],
    ['bf16', { type: 'q8', block: 'row', offset: false }],
    ['f32', { type: 'q8', block: 32, offset: false }],
  ])('%s as %o: what the CPU executor holds', async (type, format) => {
    const { createMatrix, writeRows } = await import('../cpu/matrix');
    const cpu = createMatrix('w', rows, cols, format);
    const slice = dense(type, values, rows);
    writeRows(cpu, slice);
    const bytes = new Uint8Array(cpu.codes.buffer);
    const held: RowSlice =
      format.type === 'q8'
        ? {
            row0: 0,
            rows,
            cols,
            type: 'q8',
            block: cpu.block,
            codes: new Int8Array(bytes.buffer),
            scales: cpu.scales!,
            offsets: null,
          }
        : { row0: 0, rows, cols, type: 'dense', dense: format.type as DenseType, data: bytes };
    const { sink, read } = open([deviceMatrix(format, rows, cols)]);
    await sink.write('w', rowsOf(slice, 0, 4));
    await sink.write('w', rowsOf(slice, 4, rows));
    await sink.finish();
    await expectLaidOut(read, 'w', format, held);
  });
});

describe('quantize', () => {
  /** The GPU's NF4 of dense values, by blocks in rows. */
  async function expectQuantised(type: DenseType, values: Float32Array, cols: number): Promise<void> {
    const rows = values.length / cols;
    const exact = denseValues(denseBytes(values, type), type);
    const { codes, absmax } = quantizeNf4(exact);
    const { sink, read } = open([deviceMatrix(NF4, rows, cols)], 1 << 20);
    await sink.write('w', dense(type, values, rows));
    await sink.finish();
    await expectLaidOut(read, 'w', NF4, {
      row0: 0,
      rows,
      cols,
      type: 'q4',
      block: 64,
      codes,
      scales: absmax,
      offsets: null,
    });
  }

  it.each(['f32', 'f16', 'bf16'] as const)('%s: as bitsandbytes, over many magnitudes', async (type) => {
    const values = randomValues(40 * 192, 77).map((v, i) => v * 10 ** ((Math.floor(i / 64) % 9) - 4));
    await expectQuantised(type, values, 192);
  });

  it.each([[1], [0.7], [3], [1e-30], [1e30], [0.0001220703125]])(
    'values on every threshold of a block of %d, and one ulp either side',
    async (absmax) => {
      const bits = new Uint32Array(1);
      const float = new Float32Array(bits.buffer);
      const next = (value: number, by: number) => {
        float[0] = value;
        bits[0] += by;
        return float[0];
      };
      const rows = [-1, 0, 1].map((by) => {
        const row = new Float32Array(64);
        row.set(NF4_THRESHOLDS.map((t) => next(t * absmax, by)));
        row[63] = -absmax;
        return row;
      });
      await expectQuantised('f32', Float32Array.from(rows.flatMap((row) => [...row])), 64);
    },
  );

  it('maxima whose reciprocals round in every way, and a block of zeros', async () => {
    const blocks = 200;
    const values = randomValues(blocks * 64, 4);
    for (let b = 0; b < blocks; b++) {
      // Mantissas all over, from 1 + ulp to 2 - ulp, and powers of two.
      values[b * 64 + (b % 64)] =
        b % 7 === 0 ? 2 ** ((b % 20) - 10) : (1 + ((b * 41943 + 1) % 8388608) / 8388608) * (b % 2 ? 1 : -1);
    }
    values.fill(0, 64, 128);
    values.fill(-0, 192, 256);
    await expectQuantised('f32', values, 64);
  });

  const folder = 'reference/fixtures/nf4/';
  const cases = (
    JSON.parse(readFileSync(`${folder}cases.json`, 'utf8')) as {
      cases: {
        name: string;
        dtype: DenseType;
        shape: [number, number];
        source: string;
        codes: string;
        absmax: string;
      }[];
    }
  ).cases;
  // The kernel takes whole blocks: what of a case is whole, as rows of 64 of the flattened tensor.
  it.each(cases.filter(({ shape }) => shape[0] * shape[1] >= 64))(
    '$name: what bitsandbytes wrote',
    async ({ dtype, shape, source, codes, absmax }) => {
      const rows = Math.floor((shape[0] * shape[1]) / 64);
      const bytes = (name: string, count: number) => new Uint8Array(readFileSync(folder + name)).slice(0, count);
      const data = bytes(source, rows * 64 * (dtype === 'f32' ? 4 : 2));
      const { sink, read } = open([deviceMatrix(NF4, rows, 64)], 1 << 20);
      await sink.write('w', { row0: 0, rows, cols: 64, type: 'dense', dense: dtype, data });
      await sink.finish();
      const scales = new Float32Array(bytes(absmax, rows * 4).buffer);
      await expectLaidOut(read, 'w', NF4, {
        row0: 0,
        rows,
        cols: 64,
        type: 'q4',
        block: 64,
        codes: bytes(codes, rows * 32),
        scales,
        offsets: null,
      });
    },
  );
});

describe('what is refused', () => {
  it('a checkpoint that ends early, with what is missing; the upload buffers stay', async () => {
    const { sink, finished } = open([deviceMatrix(NF4, 5, 64)]);
    await sink.write('w', rowsOf(randomSlice(NF4, 5, 64, 1), 0, 3));
    await expect(sink.finish()).rejects.toMatchObject({ code: 'corrupt-checkpoint', details: { name: 'w', rows: 2 } });
    expect(finished()).toBe(0);
  });
  it('rows of another width, an unknown tensor, codes of another type or block, dense rows for a code book that is not NF4', async () => {
    const { sink } = open([deviceMatrix(NF4, 5, 64)]);
    const slice = randomSlice(NF4, 5, 64, 1);
    await expect(sink.write('x', slice)).rejects.toMatchObject({ code: 'corrupt-checkpoint' });
    await expect(sink.write('w', randomSlice(NF4, 5, 128, 1))).rejects.toMatchObject({ code: 'corrupt-checkpoint' });
    await expect(
      sink.write('w', randomSlice({ type: 'q8', block: 32, offset: false }, 5, 64, 1)),
    ).rejects.toMatchObject({ code: 'unsupported-quantization' });
    await expect(sink.write('w', randomSlice({ ...NF4, block: 32 }, 5, 64, 1))).rejects.toMatchObject({
      code: 'unsupported-quantization',
    });
    await expect(sink.write('w', randomSlice({ ...NF4, offset: true }, 5, 64, 1))).rejects.toMatchObject({
      code: 'unsupported-quantization',
    });
    const linear = open([deviceMatrix({ ...NF4, codebook: LINEAR_CODEBOOK }, 5, 64)]);
    await expect(linear.sink.write('w', dense('f32', randomValues(320, 1), 5))).rejects.toMatchObject({
      code: 'unsupported-quantization',
    });
    expect(() => sink.writeVector('norm', new Float32Array(3))).toThrow(/needs none/);
  });
  it('blocks of another K-quant, for codes and the reverse, nested scales that came as one, and scales of scales of 128', async () => {
    const refused = { code: 'unsupported-quantization' };
    for (const [planned, arrived] of [
      [Q4_K, Q5_K],
      [{ ...Q4_K, levels: undefined }, Q4_K],
      [Q4_K, { ...Q4_K, levels: undefined }],
      [NESTED, NF4],
    ] as [MatrixFormat, MatrixFormat][]) {
      const { sink } = open([deviceMatrix(planned, 5, 256)]);
      await expect(sink.write('w', randomSlice(arrived, 5, 256, 1))).rejects.toMatchObject(refused);
    }
    for (const [format, half] of [
      [Q4_K, 0],
      [Q5_K, 2],
    ] as const) {
      const { sink } = open([deviceMatrix(format, 5, 256)]);
      const slice = randomSlice(format, 5, 256, 1) as RowSlice & PackedRows;
      slice.data.set([0xff, 0xd7], 4 * slice.block + half);
      await sink.write('w', slice);
      // -128, one more
      slice.data.set([0x00, 0xd8], 4 * slice.block + half);
      await expect(sink.write('w', slice)).rejects.toMatchObject(refused);
    }
  });
});
