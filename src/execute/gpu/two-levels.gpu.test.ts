/** Scales of two levels on the GPU: joined and split matrices hold the file's values, and take what the file takes. */
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { BLOCK_TYPES } from '../../formats/gguf-blocks';
import { levelsOf, type MatrixFormat, NF4_CODEBOOK, type RowSlice } from '../../formats/matrix';
import { sliceValues } from '../../formats/rows';
import { Pipelines } from '../../gpu/pipelines';
import { testGpu } from '../../gpu/test-device';
import { embedGroups, embedKernel } from '../../kernels/embed';
import { K_QUANTS } from '../../kernels/test/k-quants';
import { Lab, passState, randomSlice, rowsOf } from '../../kernels/test/lab';
import { VARIANTS } from '../../kernels/variants';
import { BINDING_OFFSET, SLICE_BYTES, SLICE_SCALE_BYTES } from '../../memory/gpu-scratch';
import { deviceMatrices, matrixBuffers } from '../../memory/layout';
import { planMemory } from '../../memory/plan';
import { forwardSteps, tensorTable } from '../../model/decoder';
import { largestDifference, request } from '../cpu/test/models';
import { createGpuExecutor } from './executor';
import { limitsOf, tiny } from './test/maker';
import { watch } from './test/watch';
import { GpuSink } from './upload';

const NESTED: MatrixFormat = { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK, levels: 'nested' };
const FORMATS: [string, MatrixFormat, number][] = [
  ['Q4_K', K_QUANTS.Q4_K, 512],
  ['Q5_K', K_QUANTS.Q5_K, 768],
  ['Q6_K', K_QUANTS.Q6_K, 512],
  // 21 blocks a row: groups of 256 begin anywhere in one
  ['nested', NESTED, 1344],
  ['nested in 32', { ...NESTED, block: 32 }, 1056],
];

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterEach(() => {
  lab.dispose();
  vi.restoreAllMocks();
});

describe('scales of two levels', () => {
  it.each(FORMATS)(
    '%s in matrices of three tensors, cut by rows: every value is the file’s',
    async (_, format, cols) => {
      const parts = [5, 11, 50].map((rows, i) => ({ name: `t${i}`, rows, bias: null }));
      const slices = parts.map(({ name, rows }, i): [string, RowSlice] => [
        name,
        randomSlice(format, rows, cols, 5 + i),
      ]);
      const matrices = deviceMatrices({ parts, cols }, () => format, (24 * cols) / 2, 'webgpu');
      expect(matrices.map(({ rows, parts: of }) => [rows, of.length])).toEqual([
        [24, 3],
        [24, 1],
        [18, 1],
      ]);
      const sizes: [string, number][] = [
        ['upload.codes', SLICE_BYTES],
        ['upload.scales', SLICE_SCALE_BYTES],
        ['upload.jobs', 3 * BINDING_OFFSET],
        ...matrices.flatMap(({ name, bytes }) =>
          Object.entries(bytes).map(([kind, size]): [string, number] => [`${name}.${kind}`, size]),
        ),
      ];
      const buffers = new Map(sizes.filter(([, size]) => size).map(([name, size]) => [name, lab.buffer(size)]));
      const get = (name: string) => buffers.get(name)!;
      const sink = new GpuSink(lab.device, Pipelines.of(lab.device), get, matrices, new Map(), [], () => {});
      for (const [name, slice] of slices)
        for (let row = 0; row < slice.rows; row += 7)
          await sink.write(name, rowsOf(slice, row, Math.min(slice.rows, row + 7)));
      await sink.finish();

      const codebook = format.type === 'q4' ? format.codebook : [];
      const right = Float32Array.from(slices.flatMap(([, slice]) => [...sliceValues(slice, codebook)]));
      const rows = 66;
      const out = lab.buffer(rows * cols * 4);
      const bound = { ids: lab.buffer(Uint32Array.from({ length: rows }, (_, i) => i)), out };
      for (const matrix of matrices) {
        const own = Object.entries(matrixBuffers(matrix)).map(([kind, name]) => [kind, get(name)]);
        const all = { ...Object.fromEntries(own), ...bound, state: lab.buffer(passState(0, rows)) };
        await lab.run(embedKernel(matrix, 1, 'workgroup'), all, [embedGroups(cols, rows)]);
      }
      const got = await lab.floats(out);
      // An offset may be added to a product that was not rounded.
      const most = Math.max(...right.map(Math.abs));
      expect(largestDifference(got, right)).toBeLessThan(2 ** -23 * most);
    },
  );

  const ofFiles = FORMATS.filter(([name]) => name !== 'nested in 32');
  it.each(ofFiles)(
    '%s: a model takes at most a fiftieth more than in the file, by plan and by buffers',
    async (_, format) => {
      const gpu = await testGpu();
      const seen = watch(gpu.device);
      const sizes = { hidden_size: 1024, intermediate_size: 2048, num_attention_heads: 16, head_dim: 64 };
      const spec = tiny({
        ...sizes,
        num_key_value_heads: 4,
        vocab_size: 512,
        num_hidden_layers: 1,
        layer_types: undefined,
      });
      const table = tensorTable(spec).filter(({ kind }) => kind === 'matrix');
      const model = { spec, steps: forwardSteps(spec), formats: new Map(table.map(({ name }) => [name, format])) };
      const plan = planMemory(model, request(), limitsOf(), 'webgpu');
      const stored = table.reduce((sum, { rows, cols: wide }) => {
        const levels = levelsOf(format);
        if (levels && levels !== 'nested') return sum + ((rows * wide) / 256) * BLOCK_TYPES[levels].bytes;
        const blocks = (rows * wide) / 64;
        // with the map, the codebook and 100 bytes of JSON
        return sum + (rows * wide) / 2 + blocks + 4 * Math.ceil(blocks / 256) + 1024 + 64 + 100;
      }, 0);
      const names = new Set(plan.matrices.flatMap((matrix) => Object.values<string>(matrixBuffers(matrix))));
      const planned = plan.buffers.reduce((sum, { name, bytes }) => sum + (names.has(name) ? bytes : 0), 0);
      expect(planned / stored).toBeGreaterThan(0.99);
      expect(planned / stored).toBeLessThan(1.02);

      const executor = await createGpuExecutor(gpu, model, plan, { variant: 'small', shapes: VARIANTS.small });
      const made = seen.list().flatMap((line) => {
        const [, name, bytes] = /^(.*) (\d+)$/.exec(line)!;
        return names.has(name) ? [Number(bytes)] : [];
      });
      expect(made.length).toBe(names.size);
      expect(made.reduce((a, b) => a + b)).toBe(planned);
      executor.dispose();
    },
  );
});
