import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { denseValues } from './half';
import { type DenseType, NF4_CODEBOOK } from './matrix';
import { NF4_THRESHOLDS, nestedQuantMap, nf4Tensors, quantizeAbsmax, quantizeNf4 } from './quantize-nf4';
import { writeSafetensors } from './safetensors';
import { fixture, joined, openFiles, readJson, readValues } from './test/files';

const sha256 = (data: Uint8Array | Float32Array) =>
  createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex');
const hex = (data: Uint8Array) => Buffer.from(data).toString('hex');

const A = Float32Array.from({ length: 64 }, (_, i) => (((i * 37) % 101) - 50) / 64);
const B = Float32Array.from(
  { length: 129 * 128 },
  (_, i) => ((((i * 7919) % 4001) - 2000) * (1 + (Math.floor(i / 64) % 5))) / 4096,
);
const C = Float32Array.from({ length: 300 }, (_, i) => (((i * 29) % 61) - 30) / 32);

/** Writes a weight as bitsandbytes would, and reads it back through the whole reader. */
async function writeAndRead(shape: [number, number], values: Float32Array, double: boolean) {
  const tensors = nf4Tensors('w.weight', shape, quantizeNf4(values), { double });
  const files = { 'config.json': Buffer.from('{}'), 'model.safetensors': joined(writeSafetensors(tensors)) };
  return readValues(files, await openFiles(files), 'w.weight');
}

describe('golden vectors of bitsandbytes', () => {
  it('A: codes, absmax and values', async () => {
    const { codes, absmax } = quantizeNf4(A);
    expect(hex(codes)).toBe('04c16e29f3b05d17e29f3c05d18e2af4c16e18e3b05d17e29f3b05d18e2af4c1');
    expect([...absmax]).toEqual([0.78125]);
    const values = await writeAndRead([1, 64], A, false);
    expect(sha256(values)).toBe('53e75c0f13629100fd0370aaaeedb956c52aec6b806f6effff062590cdbd8d4a');
  });

  it('B: codes, absmax and values', async () => {
    const { codes, absmax } = quantizeNf4(B);
    expect(sha256(codes)).toBe('3c871f2cab4a3a601f9b60f23a083e85322324aca7287d8159a08fd48a9086f0');
    expect(sha256(absmax)).toBe('b01afde70190f03fa4d8f4b9dac0db3e58e4712707adfea3e0ef7f2336bd18f5');
    const values = await writeAndRead([129, 128], B, false);
    expect(sha256(values)).toBe('606381f95518543a28ed62c6e44937420790a4df886fd194b77ebaada18484ce');
  });

  it('B, double-quantised: read to the bit from what bitsandbytes wrote', async () => {
    const golden = readJson(fixture('nf4/golden.json')).B.double;
    const tensors = nf4Tensors('w.weight', [129, 128], quantizeNf4(B), { double: true });
    const put = (suffix: string, data: Uint8Array) => {
      tensors.find((t) => t.name === `w.weight${suffix}`)!.data = data;
    };
    put('.absmax', Buffer.from(golden.absmaxU8, 'hex'));
    put('.nested_absmax', new Uint8Array(Float32Array.from(golden.nestedAbsmax).buffer));
    const state = tensors.find((t) => t.name.includes('quant_state'))!;
    const json = { ...JSON.parse(new TextDecoder().decode(state.data)), nested_offset: golden.nestedOffset };
    state.data = Buffer.from(JSON.stringify(json));
    state.shape = [state.data.length];
    const files = { 'config.json': Buffer.from('{}'), 'model.safetensors': joined(writeSafetensors(tensors)) };
    const values = readValues(files, await openFiles(files), 'w.weight', 1000);
    expect(sha256(values)).toBe('456ae97c8bdf4e1f78e4659ec154897f7838e7e2d2b7d5010a8ad3840f56d344');
  });

  it('B, double-quantised: written within the rounding of a mean', () => {
    const golden = readJson(fixture('nf4/golden.json')).B.double;
    const nested = quantizeAbsmax(quantizeNf4(B).absmax);
    expect(Math.abs(nested.offset - golden.nestedOffset)).toBeLessThan(2e-7);
    golden.nestedAbsmax.forEach((value: number, i: number) => {
      expect(Math.abs(nested.absmax[i] - value)).toBeLessThan(3e-7);
    });
    const theirs = Buffer.from(golden.absmaxU8, 'hex');
    expect(nested.codes.length).toBe(theirs.length);
    const differing = nested.codes.filter((code, i) => code !== theirs[i]).length;
    expect(differing).toBeLessThanOrEqual(3);
    expect(nested.codes.every((code, i) => Math.abs(code - theirs[i]) <= 1)).toBe(true);
  });

  it('C: rows of 100, whose blocks straddle', async () => {
    const { codes, absmax } = quantizeNf4(C);
    expect([...absmax]).toEqual([0.9375, 0.9375, 0.9375, 0.9375, 0.9375]);
    expect(codes.at(-1)).toBe(0xb1);
    const values = await writeAndRead([3, 100], C, false);
    expect(sha256(values)).toBe('2be4e32011799446ae69d6e00e949852a0fb9eed074e241f0bbdc95eedad6df2');
  });

  it('has the table of double quantisation to the bit', () => {
    expect(sha256(nestedQuantMap())).toBe('e732639a65f497b4ad684bb166a4467708255edd5207757de8b8f0c7e1fda89c');
    expect(nestedQuantMap()[127]).toBe(0);
  });
});

describe('cases made by bitsandbytes', () => {
  interface Case {
    name: string;
    dtype: DenseType;
    shape: [number, number];
    source: string;
    codes: string;
    absmax: string;
    dequantSha256: string;
  }
  const cases: Case[] = readJson(fixture('nf4/cases.json')).cases;
  const bytes = (path: string) => new Uint8Array(readFileSync(fixture(`nf4/${path}`)));
  expect(cases.length).toBeGreaterThan(10);

  it.each(cases)('$name: codes and absmax equal, values read back', async ({ dtype, shape, ...files }) => {
    const source = denseValues(bytes(files.source), dtype);
    const { codes, absmax } = quantizeNf4(source);
    expect(hex(codes)).toBe(hex(bytes(files.codes)));
    expect(hex(new Uint8Array(absmax.buffer))).toBe(hex(bytes(files.absmax)));
    expect(sha256(await writeAndRead(shape, source, false))).toBe(files.dequantSha256);
  });
});

describe('quantizeNf4', () => {
  it('gives the lower code on a midpoint and the upper one just above', () => {
    const row = new Float32Array(64);
    row.set(NF4_THRESHOLDS);
    row[63] = 1;
    const codes = quantizeNf4(row).codes;
    const code = (i: number) => (i & 1 ? codes[i >> 1] & 15 : codes[i >> 1] >> 4);
    for (let i = 0; i < 15; i++) expect(code(i)).toBe(i);
  });

  it('counts the thresholds below, for every bf16 in [-1, 1] and the neighbours of each threshold', () => {
    const bits = new Uint32Array(NF4_THRESHOLDS.buffer.slice(0));
    const near = [-1, 1].flatMap((by) => [...new Float32Array(bits.map((b) => (b ? b + by : b)).buffer)]);
    const halves = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const all = [...denseValues(new Uint8Array(halves.buffer), 'bf16')].filter((v) => Math.abs(v) <= 1);
    const values = [...near, ...all];
    expect(values.length).toBeGreaterThan(32_000);
    // one of each block is 1, so that the others are divided by 1
    const blocks = Array.from({ length: Math.ceil(values.length / 63) }, (_, b) => {
      const block = new Float32Array(64).fill(1);
      block.set(values.slice(b * 63, b * 63 + 63));
      return block;
    });
    for (const block of blocks) {
      const { codes } = quantizeNf4(block);
      const expected = Array.from(block, (v) => NF4_THRESHOLDS.filter((t) => t < v).length);
      expect([...codes].flatMap((byte) => [byte >> 4, byte & 15])).toEqual(expected);
    }
  });

  it('takes the nearest code, for any block', () => {
    const value = fc.float({ noNaN: true, noDefaultInfinity: true, min: -1000, max: 1000 });
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 200 }), (list) => {
        const values = Float32Array.from(list);
        const { codes, absmax } = quantizeNf4(values);
        values.forEach((v, i) => {
          const scale = absmax[i >> 6];
          if (scale < 1e-37) return; // below bitsandbytes' floor of a divisor
          const mine = NF4_CODEBOOK[i & 1 ? codes[i >> 1] & 15 : codes[i >> 1] >> 4];
          const best = Math.min(...NF4_CODEBOOK.map((c) => Math.abs(v / scale - c)));
          expect(Math.abs(v / scale - mine)).toBeLessThanOrEqual(best + 1e-6);
        });
      }),
    );
  });

  it('refuses what is not a number', () => {
    expect(() => quantizeNf4(Float32Array.of(1, Number.NaN))).toThrow(
      expect.objectContaining({ code: 'corrupt-checkpoint' }),
    );
    expect(() => quantizeNf4(Float32Array.of(Number.POSITIVE_INFINITY))).toThrow(/Element 0/);
  });
});
