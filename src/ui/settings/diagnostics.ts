/**
 * A report to go with a question about an error: what runs here, on what, and what went wrong. Nothing that a person
 * said, typed or named is in it: no conversation, system prompt, address, path or name of a model that is not the
 * page's own.
 */
import { ENGINE_OPTIONS } from '../../options/engine';
import type { Spec } from '../../options/spec';
import type { ChatSession } from '../conversation/session';
import { SETTABLE } from './check-settings';
import { lastErrors, type NotedError } from './error-log';

/** What of a browser the report tells. */
export interface Surroundings {
  userAgent: string;
  platform: Record<string, unknown>;
  gpu: Record<string, unknown> | null;
  storage: Record<string, unknown> | null;
}

/** Limits of an adapter that decide what fits. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxStorageBuffersPerShaderStage',
] as const;

async function askGpu(): Promise<Record<string, unknown> | null> {
  try {
    const adapter = await navigator.gpu?.requestAdapter();
    if (!adapter) return null;
    const { vendor, architecture, device, description } = adapter.info ?? {};
    return {
      vendor,
      architecture,
      device,
      description,
      features: [...adapter.features].sort(),
      limits: Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]])),
    };
  } catch (error) {
    return { error: error instanceof Error ? error.name : 'unknown' };
  }
}

async function askStorage(): Promise<Record<string, unknown> | null> {
  try {
    const { usage, quota } = await navigator.storage.estimate();
    return { usage, quota, persisted: await navigator.storage.persisted() };
  } catch {
    return null;
  }
}

export async function surroundings(): Promise<Surroundings> {
  const { userAgent, hardwareConcurrency, deviceMemory } = navigator as Navigator & { deviceMemory?: number };
  const [gpu, storage] = await Promise.all([askGpu(), askStorage()]);
  const platform = { hardwareConcurrency, deviceMemory, isolated: crossOriginIsolated, online: navigator.onLine };
  return { userAgent, platform, gpu, storage };
}

/** Options with values that no person can have written anything into. */
function plainOptions(options: Record<string, unknown>): Record<string, unknown> {
  const isPlain = ([name, value]: [string, unknown]) => {
    const { type } = (ENGINE_OPTIONS as Record<string, Spec>)[name] ?? {};
    return type === 'choice' || type === 'flag' || (type === 'number' && typeof value !== 'object');
  };
  return Object.fromEntries(Object.entries(options).filter(isPlain));
}

/**
 * @param standard the model's name that the page offers by itself: no other is named
 * @param errors the last ones
 */
export function report(
  { info, memory, phase, settings, result }: Pick<ChatSession, 'info' | 'memory' | 'phase' | 'settings' | 'result'>,
  { userAgent, platform, gpu, storage }: Surroundings,
  standard: string,
  version: string,
  errors: readonly NotedError[] = lastErrors(),
): string {
  const model = info && {
    name: info.name === standard ? info.name : '(not told)',
    family: info.family,
    parameters: info.parameters,
    contextLength: info.contextLength,
    source: info.source,
    backend: info.backend,
    adapter: info.adapter,
    options: plainOptions(info.options),
    variants: info.variants,
    tuning: info.tuning && { how: info.tuning.how, ms: info.tuning.ms, rejected: Object.keys(info.tuning.rejected) },
    weightTypes: info.weightTypes,
    adapters: info.lora.length,
    deviceEstimate: info.deviceEstimate.bytes,
  };
  const set = SETTABLE.flatMap((name) => (settings[name] === undefined ? [] : [[name, settings[name]]]));
  const told = {
    nibble: version,
    userAgent,
    platform,
    gpu,
    storage,
    phase,
    model,
    memory,
    settings: { ...Object.fromEntries(set), thinking: settings.thinking, system: settings.system !== undefined },
    lastAnswer: result && { finish: result.finish, stats: result.stats },
    lastErrors: errors.map(({ at, ...error }) => ({ at: new Date(at).toISOString(), ...error })),
  };
  return JSON.stringify(told, null, 2);
}
