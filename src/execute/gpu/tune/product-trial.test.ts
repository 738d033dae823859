import { expect, it } from 'vitest';
import { LINEAR_CODEBOOK, type MatrixFormat } from '../../../formats/matrix';
import type { DeviceProfile } from '../../../gpu/device-profile';
import { candidatesFor, isMatmul, isProduct } from '../../../kernels/candidates';
import { loadingBuffers, TUNE_BETWEEN, TUNE_IN, TUNE_OUT } from '../../../memory/gpu-scratch';
import { productTrial } from './product-trial';
import { variantName } from './tune';

const PROFILE: DeviceProfile = {
  vendor: '',
  software: false,
  subgroups: { min: 32, max: 32 },
  matrices: { m: 16, n: 16, k: 16, f16: true, lanes: 32, smaller: null },
  f16: true,
  intDot: true,
  workgroup: { bytes: 49152, threads: 1024 },
};

const q4 = (block: 32 | 64): MatrixFormat => ({ type: 'q4', block, offset: true, codebook: LINEAR_CODEBOOK });

/** Bytes of what lies one after another, as self-test.ts places it. */
const placed = (all: Readonly<Record<string, Uint8Array>>): number =>
  Object.values(all).reduce((at, { byteLength }) => Math.ceil(at / 256) * 256 + byteLength, 0);

it.each<[string, MatrixFormat]>([
  ['4 bits in 32', q4(32)],
  ['4 bits in 64', q4(64)],
  ['8 bits in 32', { type: 'q8', block: 32, offset: true }],
  ['8 bits by row', { type: 'q8', block: 'row', offset: false }],
  ['bf16', { type: 'bf16' }],
  ['f32', { type: 'f32' }],
])('many tokens’ products of %s have room where they are tried, and columns', (_, format) => {
  const bytes = new Map(loadingBuffers(true));
  let count = 0;
  for (const candidate of candidatesFor(PROFILE, { activations: 'int8' }).filter(isProduct).filter(isMatmul)) {
    const { reads, writes, between, right } = productTrial(candidate, format, PROFILE.workgroup.bytes);
    const name = variantName(candidate);
    expect(placed(reads), name).toBeLessThanOrEqual(bytes.get(TUNE_IN)!);
    expect(placed(writes), name).toBeLessThanOrEqual(bytes.get(TUNE_OUT)!);
    expect(
      Object.values(between ?? {}).reduce((sum, size) => sum + size, 0),
      name,
    ).toBeLessThanOrEqual(bytes.get(TUNE_BETWEEN)!);
    expect(reads.codes.length, name).toBeGreaterThan(0);
    expect(right.some((value) => value !== 0)).toBe(true);
    count++;
  }
  expect(count).toBeGreaterThan(10);
});
