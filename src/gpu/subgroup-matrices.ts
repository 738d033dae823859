/**
 * Subgroup matrices (the Chromium feature of that name; gpuweb's proposals/subgroup-matrix.md): products of small
 * matrices that the threads of a subgroup hold together, for which GPUs have units of their own. Which sizes and types
 * a device has is what its adapter says; this takes those that the kernels can use. Pure.
 */

/** Behind a flag of Chromium's, and in Dawn with allow_unsafe_apis. */
export const SUBGROUP_MATRIX_FEATURE = 'chromium-experimental-subgroup-matrix';
/** With it a kernel says how many threads its subgroups have. */
export const SUBGROUP_SIZE_FEATURE = 'subgroup-size-control';

/** A GPUSubgroupMatrixConfig: the product of M x K and K x N, of numbers of one type, onto M x N of another. */
export interface SubgroupMatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** What the kernels use of it. */
export interface SubgroupMatrices {
  /** sizes of the matrices: M x K times K x N */
  m: number;
  n: number;
  k: number;
  /** factors are f16, else f32; sums are f32 in any case */
  f16: boolean;
  /** threads of a subgroup, at most */
  lanes: number;
  /** how many threads a kernel may ask for instead; null: it cannot */
  smaller: number | null;
}

/** Sizes that divide the kernels' tiles. */
const SIZES: readonly number[] = [8, 16, 32];

/**
 * @param configs of the adapter, what it prefers first; undefined where the browser does not tell
 * @param subgroups threads of one on this device, null where kernels cannot use subgroups
 * @param language features of WGSL: kernels read subgroup_id (Chromium 144)
 * @returns null where the device has none that sums in f32. Sums in f16, the only ones that Metal has of f16, are not
 * used: they are off by 6e-3 of the scale after 4,096 products, and by 1.2e-2 after 14,336 (bench/kernels.md).
 */
export function subgroupMatrices(
  {
    vendor,
    subgroupMatrixConfigs: configs = [],
  }: { vendor?: string; subgroupMatrixConfigs?: readonly SubgroupMatrixConfig[] },
  subgroups: { min: number; max: number } | null,
  features: ReadonlySet<string>,
  language: ReadonlySet<string>,
): SubgroupMatrices | null {
  if (!features.has(SUBGROUP_MATRIX_FEATURE) || !subgroups || !language.has('subgroup_id')) return null;
  const able = [...configs].filter(
    ({ resultComponentType, M, N, K }) =>
      resultComponentType === 'f32' && [M, N, K].every((size) => SIZES.includes(size)),
  );
  const halves = features.has('shader-f16') && able.find(({ componentType }) => componentType === 'f16');
  const config = halves || able.find(({ componentType }) => componentType === 'f32');
  if (!config) return null;
  const { min, max } = subgroups;
  // Metal's adapters say 4 to 64; all of Apple's GPUs have 32
  const lanes = vendor?.toLowerCase() === 'apple' ? Math.min(32, max) : max;
  const smaller = features.has(SUBGROUP_SIZE_FEATURE) && lanes === max && max / 2 >= min ? max / 2 : null;
  return { m: config.M, n: config.N, k: config.K, f16: Boolean(halves), lanes, smaller };
}
