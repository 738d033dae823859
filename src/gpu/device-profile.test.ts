import { describe, expect, it } from 'vitest';
import { type AdapterInfo, deviceProfile, isSoftware } from './device-profile';

const LIMITS = { maxComputeWorkgroupStorageSize: 16384, maxComputeInvocationsPerWorkgroup: 256 };
const profile = (info: AdapterInfo, features: string[] = [], language: string[] = []) =>
  deviceProfile(info, new Set(features), new Set(language), LIMITS);

describe('the profile of a device', () => {
  it('has what the adapter says and the device was given', () => {
    const info = { vendor: 'NVIDIA', architecture: 'ampere', subgroupMinSize: 32, subgroupMaxSize: 32 };
    expect(profile(info, ['subgroups', 'shader-f16'], ['packed_4x8_integer_dot_product'])).toEqual({
      vendor: 'nvidia',
      software: false,
      subgroups: { min: 32, max: 32 },
      matrices: null,
      f16: true,
      intDot: true,
      workgroup: { bytes: 16384, threads: 256 },
    });
  });

  it('has nothing that it was not told of', () => {
    expect(profile({ subgroupMinSize: 32, subgroupMaxSize: 32 })).toEqual({
      vendor: '',
      software: false,
      subgroups: null,
      matrices: null,
      f16: false,
      intDot: false,
      workgroup: { bytes: 16384, threads: 256 },
    });
    expect(profile({}, ['subgroups']).subgroups).toEqual({ min: 4, max: 128 });
  });

  it.each([
    [{ description: 'SwiftShader Device (Subzero)' }, true],
    [{ device: 'llvmpipe (LLVM 15)' }, true],
    [{ isFallbackAdapter: true }, true],
    [{ vendor: 'google', architecture: 'swiftshader' }, true],
    [{ vendor: 'apple', architecture: 'metal-3', isFallbackAdapter: false }, false],
  ])('knows software by its flag or its name: %j', (info, software) => {
    expect(isSoftware(info)).toBe(software);
  });
});
