/** Every shader is valid WGSL without a description's help: with its own defaults, and in each of its branches. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type MatrixFormat, NF4_CODEBOOK } from '../formats/matrix';
import { Pipelines } from '../gpu/pipelines';
import { defaultsOf, preprocess } from '../gpu/preprocess';
import type { SubgroupMatrices } from '../gpu/subgroup-matrices';
import { faults, nullDevice, testGpu } from '../gpu/test-device';
import { INCLUDES } from './includes';
import { matmulKernel } from './matmul';
import { type MatricesShape, matricesShape, matricesShapes } from './matmul-matrices';
import { usesMatrices } from './test/emulated-matrices';
import { deviceMatrix } from './test/lab';
import { variantsOf } from './test/shader-variants';

const { device } = await testGpu();
/** Where any feature may be used: f16, subgroup matrices. */
const anywhere = await nullDevice();
const shaders = readdirSync('shaders').filter((file) => file.endsWith('.wgsl'));

/** Matrices of Apple's, NVIDIA's, AMD's and Intel's GPUs. */
const DEVICES: readonly SubgroupMatrices[] = [
  { m: 8, n: 8, k: 8, f16: false, lanes: 32, smaller: null },
  { m: 16, n: 16, k: 16, f16: true, lanes: 32, smaller: null },
  { m: 16, n: 8, k: 16, f16: true, lanes: 32, smaller: null },
  { m: 16, n: 16, k: 16, f16: true, lanes: 64, smaller: 32 },
  { m: 8, n: 16, k: 16, f16: true, lanes: 32, smaller: 16 },
];
const NF4: MatrixFormat = { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK };

describe('products by subgroup matrices', () => {
  it.each(DEVICES)('of $m x $n x $k, f16: $f16, are valid WGSL, without a warning', async (of) => {
    const shapes = (['matmul', 'few'] as const).flatMap((role) => matricesShapes({ matrices: of }, role));
    expect(shapes.length).toBe(of.smaller ? 8 : 4);
    for (const shape of shapes) {
      const made = matmulKernel(deviceMatrix(NF4, 128, 128), { gated: 'silu', outputStride: 64 }, shape, 'matmul');
      expect(usesMatrices(made.code)).toBe(true);
      expect(await faults(made.code), JSON.stringify(shape)).toEqual([]);
    }
  });

  it('become a pipeline where there is room for them', async () => {
    // of Dawn's null backend, which has 16 KiB and subgroups of up to 128 threads
    const of = { ...DEVICES[0], lanes: 128 };
    const shape = { tile: [32, 32], grid: [2, 1], step: 8, of, smaller: false } as const;
    const fusion = { accumulate: true, outputStride: 64 };
    const kernelOf = (given: MatricesShape) =>
      matmulKernel(deviceMatrix(NF4, 64, 128), fusion, matricesShape(given), 'matmul');
    expect(await Pipelines.of(anywhere).get(kernelOf(shape))).toBeInstanceOf(GPUComputePipeline);
    // a workgroup has as many threads as its subgroups may have, or a multiple
    const few = kernelOf({ ...shape, of: { ...of, lanes: 32 } });
    await expect(Pipelines.of(anywhere).get(few)).rejects.toThrow('multiple of the device maxSubgroupSize');
  });
});

describe('a shader alone', () => {
  it.each(shaders)('%s is compiled', async (file) => {
    const source = readFileSync(`shaders/${file}`, 'utf8');
    const code = preprocess(source, defaultsOf(source, INCLUDES), INCLUDES);
    const able = usesMatrices(code) ? anywhere : device;
    expect(await Pipelines.of(able).get({ label: file, code })).toBeInstanceOf(GPUComputePipeline);
  });

  it.each(shaders)('%s is valid in all of its branches', async (file) => {
    const source = readFileSync(`shaders/${file}`, 'utf8');
    for (const constants of variantsOf(source))
      expect(await faults(preprocess(source, constants, INCLUDES)), JSON.stringify(constants)).toEqual([]);
  });
});
