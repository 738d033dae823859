/** embed, norm, activate, norm with add and last-row against the CPU's, and the upload kernels against the layout. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { activate, add, embed, lastRow, rmsNorm } from '../execute/cpu/kernels';
import { largestDifference, randomValues } from '../execute/cpu/test/models';
import { LINEAR_CODEBOOK, type MatrixFormat, NF4_CODEBOOK } from '../formats/matrix';
import { deviceMatrices } from '../memory/layout';
import { activateGroups, activateKernel } from './activate';
import { embedGroups, embedKernel } from './embed';
import { lastRowKernel } from './last-row';
import { normKernel } from './norm';
import { projectionNormKernel } from './projection-norm';
import { K_QUANTS } from './test/k-quants';
import { cpuMatrix, Lab, matrixBindings, passState, randomSlice, rowsOf } from './test/lab';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterEach(() => lab.dispose());

const NESTED_NF4: MatrixFormat = { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK, levels: 'nested' };

describe('embed', () => {
  it.each<[string, MatrixFormat, number, 'constant' | 'workgroup']>([
    ['NF4 in 64', { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK }, 128, 'constant'],
    ['NF4 in 32', { type: 'q4', block: 32, offset: false, codebook: NF4_CODEBOOK }, 96, 'workgroup'],
    ['Q4_1', { type: 'q4', block: 32, offset: true, codebook: LINEAR_CODEBOOK }, 96, 'constant'],
    ['q8 in 32', { type: 'q8', block: 32, offset: false }, 64, 'constant'],
    ['Q4_K', K_QUANTS.Q4_K, 512, 'constant'],
    ['Q5_K', K_QUANTS.Q5_K, 512, 'constant'],
    ['Q6_K', K_QUANTS.Q6_K, 512, 'constant'],
    ['nested NF4', NESTED_NF4, 2112, 'workgroup'],
    ['q8 by row', { type: 'q8', block: 'row', offset: false }, 96, 'constant'],
    ['f16', { type: 'f16' }, 80, 'constant'],
    ['bf16', { type: 'bf16' }, 60, 'constant'],
    ['f32', { type: 'f32' }, 36, 'constant'],
  ])('%s, from a table that is split by rows, with a scale', async (_, format, cols, table) => {
    const [rows, tokens] = [21, 6];
    const ids = Uint32Array.of(20, 0, 7, 8, 15, 16);
    const slice = randomSlice(format, rows, cols, 5);
    const right = new Float32Array(tokens * cols);
    embed(cpuMatrix(format, slice), ids, tokens, Math.fround(11.3), right, new Float64Array(cols));

    // Room for eight rows a binding.
    const binding = 8 * 128 * Math.ceil(cols / 32);
    const parts = deviceMatrices(
      { parts: [{ name: 'w', rows, bias: null }], cols },
      () => format,
      format.type === 'f32' ? binding : 1,
      'webgpu',
    );
    expect(parts.map(({ rows: of }) => of)).toEqual([8, 8, 5]);
    const out = lab.buffer(tokens * cols * 4 + 128);
    for (const part of parts) {
      const piece = rowsOf(slice, part.outputRow, part.outputRow + part.rows);
      await lab.run(
        embedKernel(part, Math.fround(11.3), table),
        { ...matrixBindings(lab, format, piece), ids: lab.buffer(ids), out, state: lab.buffer(passState(0, tokens)) },
        [embedGroups(cols, tokens)],
      );
    }
    const got = (await lab.floats(out)).slice(0, tokens * cols);
    expect(largestDifference(got, right) / Math.max(...right)).toBeLessThan(1e-6);
  });
});

describe('rows of activations', () => {
  it.each([1, 2, 7])('the last of %i becomes the first, at its position', async (tokens) => {
    // more words a row than threads
    const spec = { width: 1100, heads: 6, kvHeads: 3, headSize: 20 };
    const rows = { x: randomValues(tokens * 1100, 1), qkv: randomValues(tokens * 240, 2) };
    const [x, qkv] = [lab.buffer(rows.x), lab.buffer(rows.qkv)];
    const state = lab.buffer(passState(5, tokens));
    await lab.run(lastRowKernel(spec), { x, qkv, state }, [1]);
    lastRow(rows, spec, tokens);
    expect(await lab.floats(x)).toEqual(rows.x);
    expect(await lab.floats(qkv)).toEqual(rows.qkv);
    expect(await lab.words(state)).toEqual(passState(5 + tokens - 1, 1));
  });

  it.each([0, 1] as const)(
    'norm with offset %i: a ragged width, several tokens, eps where it shows',
    async (offset) => {
      const [width, tokens] = [300, 3];
      const x = randomValues(width * tokens, 1).map((v) => v / 100);
      const weight = new Float32Array(320);
      weight.set(randomValues(width, 2));
      const out = lab.buffer(width * tokens * 4);
      const state = lab.buffer(passState(0, tokens));
      const buffers = { x: lab.buffer(x), norm_weight: lab.buffer(weight), out, state };
      // beyond the pass's tokens nothing is done
      await lab.run(normKernel(width, 1e-5, offset), buffers, [tokens + 1]);
      const right = x.slice();
      for (let t = 0; t < tokens; t++) rmsNorm(right, right, t * width, weight, width, 1e-5, offset);
      expect(largestDifference(await lab.floats(out), right)).toBeLessThan(2e-6);
    },
  );

  it.each([0, 1] as const)(
    'norm of q and k over all heads, offset %i: v and other tokens are left alone',
    async (offset) => {
      const spec = { heads: 6, kvHeads: 2, headSize: 20 };
      const [q, k, width, tokens] = [120, 40, 200, 3];
      const qkv = randomValues(width * 4, 1).map((v) => v / 100);
      const weights = [randomValues(q, 2), randomValues(k, 3)];
      const buffer = lab.buffer(qkv);
      const bindings = {
        qkv: buffer,
        q_norm: lab.buffer(weights[0]),
        k_norm: lab.buffer(weights[1]),
        state: lab.buffer(passState(0, tokens)),
      };
      await lab.run(projectionNormKernel(spec, 1e-5, offset), bindings, [tokens, 2]);
      const right = qkv.slice();
      for (let t = 0; t < tokens; t++) {
        rmsNorm(right, right, t * width, weights[0], q, 1e-5, offset);
        rmsNorm(right, right, t * width + q, weights[1], k, 1e-5, offset);
      }
      expect(largestDifference(await lab.floats(buffer), right)).toBeLessThan(2e-6);
    },
  );

  it.each(['silu', 'gelu_tanh'] as const)('%s, far out on both sides too', async (activation) => {
    const [width, tokens] = [70, 2];
    const x = randomValues(2 * width * tokens, 3).map((v) => 4 * v);
    x.set([0, -0.001, 88, -88, 200, -200, 20, -20, 1e4, -1e4]);
    const out = lab.buffer(width * tokens * 4);
    const right = new Float32Array(width * tokens);
    activate(x, right, tokens, width, activation);
    await lab.run(
      activateKernel(width, activation),
      { x: lab.buffer(x), out, state: lab.buffer(passState(0, tokens)) },
      activateGroups(width, tokens),
    );
    const got = await lab.floats(out);
    right.forEach((value, i) => {
      expect(Math.abs(got[i] - value)).toBeLessThan(1e-5 * Math.max(1, Math.abs(value)));
    });
  });

  it.each([0, 1] as const)(
    'norm with offset %i, added with a scale, and nothing beyond the last token',
    async (offset) => {
      const [width, tokens] = [300, 2];
      const x = randomValues(width * 3, 3);
      const before = randomValues(width * 3, 4);
      const weight = new Float32Array(320);
      weight.set(randomValues(width, 2));
      const out = lab.buffer(before);
      const state = lab.buffer(passState(0, tokens));
      const buffers = { x: lab.buffer(x), norm_weight: lab.buffer(weight), out, state };
      await lab.run(normKernel(width, 1e-5, offset, 0.3), buffers, [tokens]);
      const normed = x.slice();
      for (let t = 0; t < tokens; t++) rmsNorm(normed, normed, t * width, weight, width, 1e-5, offset);
      const right = before.slice();
      add(normed, right, width * tokens, Math.fround(0.3));
      expect(largestDifference(await lab.floats(out), right)).toBeLessThan(4e-6);
    },
  );
});
