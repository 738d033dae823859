/**
 * Adapter and device. Asks for what the kernels can use of the adapter's limits and features, or for nothing
 * (`limits: 'default'`, `features: 'none'`), which is the floor that every kernel must run on.
 */
import { NibbleError } from '../errors';
import { DeviceHealth } from './device-health';
import { type DeviceProfile, deviceProfile, isSoftware } from './device-profile';
import { SUBGROUP_MATRIX_FEATURE, SUBGROUP_SIZE_FEATURE } from './subgroup-matrices';

/** The only limits that the kernels profit from; asking for more would only hide what is needed. */
export const WANTED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const;

const WANTED_FEATURES = ['shader-f16', 'subgroups', 'timestamp-query'];
/** These, too, of an adapter with subgroup matrices; nothing else uses the second. */
const MATRIX_FEATURES = [SUBGROUP_MATRIX_FEATURE, SUBGROUP_SIZE_FEATURE];

export interface AdapterDescription {
  vendor: string;
  architecture: string;
  device: string;
  description: string;
  /** a software adapter: right for tests, slower than the CPU executor */
  isFallback: boolean;
}

export interface Gpu {
  device: GPUDevice;
  adapter: AdapterDescription;
  features: ReadonlySet<string>;
  limits: GPUSupportedLimits;
  profile: DeviceProfile;
  health: DeviceHealth;
}

export interface GpuOptions {
  limits: 'adapter' | 'default';
  features: 'all' | 'none';
}

export function describeAdapter(adapter: GPUAdapter): AdapterDescription {
  const info = adapter.info ?? ({} as Partial<GPUAdapterInfo>);
  const text = (value: string | undefined) => value ?? '';
  return {
    vendor: text(info.vendor),
    architecture: text(info.architecture),
    device: text(info.device),
    description: text(info.description),
    isFallback: isSoftware(info),
  };
}

/** The adapter that requestGpu would use, without making a device; null where there is none. */
export async function findAdapter(gpu: GPU | null | undefined): Promise<GPUAdapter | null> {
  if (!gpu) return null;
  return askAdapter(gpu).catch(() => null);
}

const askAdapter = (gpu: GPU) => gpu.requestAdapter({ powerPreference: 'high-performance' });

/**
 * @throws NibbleError webgpu-unavailable when there is no adapter or it gives no device
 */
export async function requestGpu(gpu: GPU | null | undefined, options: GpuOptions): Promise<Gpu> {
  const adapter = await (gpu &&
    askAdapter(gpu).catch((error) => {
      // Node's says what to install
      if (error instanceof NibbleError) throw error;
      return null;
    }));
  if (!adapter) {
    throw new NibbleError(
      'webgpu-unavailable',
      gpu
        ? 'This browser has WebGPU but offers no adapter for it. Update the graphics driver, or use the CPU backend.'
        : 'WebGPU is not available here. Use a current Chrome, Edge, Safari 26 or Firefox over https, or the CPU backend.',
    );
  }
  const requiredLimits: Record<string, number> = {};
  if (options.limits === 'adapter') for (const name of WANTED_LIMITS) requiredLimits[name] = adapter.limits[name];
  const wanted = adapter.features.has(SUBGROUP_MATRIX_FEATURE)
    ? [...WANTED_FEATURES, ...MATRIX_FEATURES]
    : WANTED_FEATURES;
  const requiredFeatures =
    options.features === 'none' ? [] : (wanted.filter((name) => adapter.features.has(name)) as GPUFeatureName[]);
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({ label: 'nibble', requiredLimits, requiredFeatures });
  } catch (cause) {
    throw new NibbleError('webgpu-unavailable', `The GPU gave no device: ${(cause as Error).message}`, {}, { cause });
  }
  const features = new Set<string>(requiredFeatures);
  return {
    device,
    adapter: describeAdapter(adapter),
    features,
    limits: device.limits,
    profile: deviceProfile(adapter.info ?? {}, features, gpu?.wgslLanguageFeatures ?? new Set(), device.limits),
    health: new DeviceHealth(device),
  };
}
