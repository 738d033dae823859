import { expect, it } from 'vitest';
import { type AdapterInfo, deviceProfile } from '../gpu/device-profile';
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

it('of a model without a head none is tried, and all else is', () => {
  const device = deviceProfile({ vendor: 'nvidia' }, new Set(), new Set(), LIMITS);
  const all = candidatesFor(device);
  expect(all.some(({ role }) => role === 'head')).toBe(true);
  expect(candidatesFor(device, { headless: true })).toEqual(all.filter(({ role }) => role !== 'head'));
});
