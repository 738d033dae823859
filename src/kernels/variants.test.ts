import { expect, it } from 'vitest';
import { type AdapterInfo, type DeviceProfile, deviceProfile } from '../gpu/device-profile';
import { candidatesFor } from './candidates';
import { VARIANTS, variantFor } from './variants';

const LIMITS = { maxComputeWorkgroupStorageSize: 16384, maxComputeInvocationsPerWorkgroup: 256 };

it.each<[AdapterInfo, string]>([
  [{ vendor: 'google', architecture: 'swiftshader' }, 'software'],
  [{ isFallbackAdapter: true }, 'software'],
  [{ vendor: 'nvidia', architecture: 'hopper' }, 'gpu'],
  [{}, 'gpu'],
])('a device that says %j gets the variant %s, which there is', (info, variant) => {
  expect(variantFor(deviceProfile(info, new Set(), new Set(), LIMITS))).toBe(variant);
  expect(VARIANTS).toHaveProperty(variant);
});

it('a variant that is named is taken on any device', () => {
  const device = deviceProfile({ vendor: 'nvidia' }, new Set(), new Set(), LIMITS);
  expect(['small', 'software', 'auto', 'off'].map((tune) => variantFor(device, tune))).toEqual([
    'small',
    'software',
    'gpu',
    'gpu',
  ]);
});

it('a device with subgroup matrices has products by them to try, of many and of few tokens; no other has', () => {
  const own = { ...deviceProfile({}, new Set(['subgroups', 'shader-f16']), new Set(), LIMITS), f16: true };
  const roomy = { ...own, workgroup: { bytes: 49152, threads: 1024 } };
  const of = { m: 16, n: 16, k: 16, f16: true, lanes: 32, smaller: null };
  const names = (profile: DeviceProfile) =>
    candidatesFor(profile).flatMap((one) => (one.name.includes('matrices') ? [`${one.role} ${one.name}`] : []));
  expect(names(roomy)).toEqual([]);
  expect(names({ ...roomy, matrices: of })).toEqual([
    'matmul subgroup matrices 64x64 of 16x16x16, 32 columns, f16',
    'matmul subgroup matrices 128x64 of 16x16x16, 32 columns, f16',
    'matmul subgroup matrices 128x128 of 16x16x16, 16 columns, f16',
    'few subgroup matrices 128x16 of 16x16x16, 32 columns, f16',
  ]);
  // threads, workgroup memory, subgroups of half the size
  expect(names({ ...own, matrices: of })).toEqual([]);
  expect(names({ ...roomy, workgroup: { bytes: 32768, threads: 128 }, matrices: of })).toHaveLength(2);
  const asked = names({ ...roomy, matrices: { ...of, lanes: 64, smaller: 32 } });
  expect(asked).toHaveLength(8);
  expect(asked.filter((name) => name.endsWith('subgroups of 32'))).toHaveLength(4);
  expect(names({ ...roomy, software: true, matrices: of })).toEqual([]);
});

it('of a model without a head none is tried, and all else is', () => {
  const device = deviceProfile({ vendor: 'nvidia' }, new Set(), new Set(), LIMITS);
  const all = candidatesFor(device);
  expect(all.some(({ role }) => role === 'head')).toBe(true);
  expect(candidatesFor(device, { headless: true })).toEqual(all.filter(({ role }) => role !== 'head'));
});
