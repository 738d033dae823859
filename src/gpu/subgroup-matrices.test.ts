import { describe, expect, it } from 'vitest';
import { requestGpu } from './device';
import { deviceProfile } from './device-profile';
import { SUBGROUP_MATRIX_FEATURE, SUBGROUP_SIZE_FEATURE, type SubgroupMatrixConfig } from './subgroup-matrices';

const LIMITS = { maxComputeWorkgroupStorageSize: 32768, maxComputeInvocationsPerWorkgroup: 256 };
const config = (componentType: string, resultComponentType: string, [M, N, K]: number[]): SubgroupMatrixConfig => ({
  componentType,
  resultComponentType,
  M,
  N,
  K,
});

/** What Dawn says of Apple's GPUs: sums of f16 are f16 (gpuweb, proposals/subgroup-matrix.md). */
const APPLE = {
  vendor: 'apple',
  subgroupMinSize: 4,
  subgroupMaxSize: 64,
  subgroupMatrixConfigs: [config('f32', 'f32', [8, 8, 8]), config('f16', 'f16', [8, 8, 8])],
};
/** As drivers list them, in their order (VkCooperativeMatrixPropertiesKHR). */
const NVIDIA = {
  vendor: 'nvidia',
  subgroupMinSize: 32,
  subgroupMaxSize: 32,
  subgroupMatrixConfigs: [
    config('f16', 'f16', [16, 16, 16]),
    config('f16', 'f32', [16, 16, 16]),
    config('f16', 'f32', [16, 8, 16]),
    config('u8', 'u32', [16, 16, 32]),
  ],
};
const INTEL = {
  vendor: 'intel',
  subgroupMinSize: 8,
  subgroupMaxSize: 32,
  subgroupMatrixConfigs: [config('f16', 'f32', [8, 16, 16])],
};

const ALL = [SUBGROUP_MATRIX_FEATURE, SUBGROUP_SIZE_FEATURE, 'subgroups', 'shader-f16'];
const matrices = (info: object, features = ALL, language = ['subgroup_id']) =>
  deviceProfile(info, new Set(features), new Set(language), LIMITS).matrices;
const without = (name: string) => ALL.filter((one) => one !== name);

describe('subgroup matrices of a device', () => {
  it.each([
    [
      'f32 where f16 has no sums in f32, by all 32 threads',
      APPLE,
      { m: 8, n: 8, k: 8, f16: false, lanes: 32, smaller: null },
    ],
    ['f16 with sums in f32', NVIDIA, { m: 16, n: 16, k: 16, f16: true, lanes: 32, smaller: null }],
    ['a kernel may ask for smaller subgroups', INTEL, { m: 8, n: 16, k: 16, f16: true, lanes: 32, smaller: 16 }],
  ])('%s', (_, info, right) => expect(matrices(info)).toEqual(right));

  it('need the feature, subgroups, f16 where they are of it, and a shader that knows its subgroup', () => {
    for (const name of [SUBGROUP_MATRIX_FEATURE, 'subgroups', 'shader-f16'])
      expect(matrices(NVIDIA, without(name)), name).toBeNull();
    expect(matrices(NVIDIA, ALL, [])).toBeNull();
    expect(matrices(INTEL, without(SUBGROUP_SIZE_FEATURE))).toMatchObject({ smaller: null });
  });

  it('are of sizes that the kernels have, and of a browser that tells which', () => {
    expect(matrices({ ...NVIDIA, subgroupMatrixConfigs: [] })).toBeNull();
    expect(matrices({ ...NVIDIA, subgroupMatrixConfigs: undefined })).toBeNull();
    const odd = [config('f16', 'f32', [16, 16, 12]), config('f16', 'f32', [16, 8, 8])];
    expect(matrices({ ...NVIDIA, subgroupMatrixConfigs: odd })).toMatchObject({ m: 16, n: 8, k: 8 });
  });
});

describe('requestGpu', () => {
  /** The features that a device is asked for by an adapter with these. */
  async function asked(features: string[]): Promise<readonly string[]> {
    let of: readonly string[] = [];
    const device = { limits: LIMITS, lost: new Promise(() => {}), addEventListener() {} };
    const adapter = {
      features: new Set(features),
      limits: {},
      info: {},
      async requestDevice({ requiredFeatures }: GPUDeviceDescriptor) {
        of = [...requiredFeatures!] as string[];
        return device;
      },
    };
    const gpu = { requestAdapter: async () => adapter } as unknown as GPU;
    await requestGpu(gpu, { limits: 'default', features: 'all' });
    return of;
  }

  it('asks for subgroup matrices, and for subgroups’ sizes with them alone', async () => {
    expect(await asked(['subgroups', 'shader-f16', SUBGROUP_SIZE_FEATURE])).toEqual(['shader-f16', 'subgroups']);
    expect(await asked(ALL)).toEqual(['shader-f16', 'subgroups', SUBGROUP_MATRIX_FEATURE, SUBGROUP_SIZE_FEATURE]);
  });
});
