/**
 * What a device can do, as far as the choice of a kernel's variant may depend on it: a pure function of what its
 * adapter says. kernels/variants.ts chooses by it, and the lowering has it for choices that depend on a model's sizes,
 * too.
 */

import { type SubgroupMatrices, type SubgroupMatrixConfig, subgroupMatrices } from './subgroup-matrices';

/** Of a GPUAdapterInfo; a browser may leave any of it empty. */
export type AdapterInfo = Partial<
  Pick<
    GPUAdapterInfo,
    'vendor' | 'architecture' | 'device' | 'description' | 'isFallbackAdapter' | 'subgroupMinSize' | 'subgroupMaxSize'
  >
> & { subgroupMatrixConfigs?: readonly SubgroupMatrixConfig[] };

export interface DeviceProfile {
  /** as the adapter says it, lower case: nvidia, apple, intel; '' where the browser does not tell */
  vendor: string;
  /** it computes on the CPU: instructions that touch memory are what costs */
  software: boolean;
  /** lanes of a subgroup, from min to max; null: kernels cannot use subgroups */
  subgroups: { min: number; max: number } | null;
  /** products of matrices by subgroups; null: there are none that the kernels can use */
  matrices: SubgroupMatrices | null;
  /** kernels can compute with 16-bit floats */
  f16: boolean;
  /** kernels can multiply four packed bytes by four at once (dot4I8Packed) */
  intDot: boolean;
  /** of a workgroup: bytes of its memory, and threads */
  workgroup: { bytes: number; threads: number };
}

/** Software Vulkan drivers do not always say so in isFallbackAdapter; their names do. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|microsoft basic render/i;

export const isSoftware = ({ vendor, architecture, device, description, isFallbackAdapter }: AdapterInfo): boolean =>
  Boolean(isFallbackAdapter) || SOFTWARE.test([vendor, architecture, device, description].join(' '));

/**
 * @param features that the device was made with, and `language` those of WGSL here (navigator.gpu.wgslLanguageFeatures)
 * @param limits of the device
 */
export function deviceProfile(
  info: AdapterInfo,
  features: ReadonlySet<string>,
  language: ReadonlySet<string>,
  limits: Pick<GPUSupportedLimits, 'maxComputeWorkgroupStorageSize' | 'maxComputeInvocationsPerWorkgroup'>,
): DeviceProfile {
  // as wide as WGSL allows where the adapter does not tell
  const { subgroupMinSize: min = 4, subgroupMaxSize: max = 128 } = info;
  const subgroups = features.has('subgroups') ? { min, max } : null;
  return {
    vendor: (info.vendor ?? '').toLowerCase(),
    software: isSoftware(info),
    subgroups,
    matrices: subgroupMatrices(info, subgroups, features, language),
    f16: features.has('shader-f16'),
    intDot: language.has('packed_4x8_integer_dot_product'),
    workgroup: {
      bytes: limits.maxComputeWorkgroupStorageSize,
      threads: limits.maxComputeInvocationsPerWorkgroup,
    },
  };
}
