/**
 * The memory plan: one pure function turns (model, tensors, request, limits, budget) into a list of every buffer that
 * will exist, and one place (execute/) allocates from it. Every entry point goes through both. Bytes everywhere.
 * See plan-request.ts for the arithmetic. TYPES ARE THE CONTRACT; the lead writes the function.
 */
import type { MatrixFormat } from '../formats/matrix';

export type KvType = 'f16' | 'f32';
export type KvCapacity = 'auto' | 'full' | number;

export interface PlanRequest {
  promptTokens: number;
  maxNewTokens: number;
  kvType: KvType;
  kvCapacity: KvCapacity;
  /** caps the conversation, tokens; null = the model's context */
  maxContext: number | null;
  /** prefill chunk, tokens */
  chunk: number;
  /** bytes, or null for no limit but the device's */
  budget: number | null;
}

/** What of the device's limits the plan depends on. */
export interface PlanLimits {
  maxBufferSize: number;
  maxStorageBufferBindingSize: number;
}

export interface KvLayerPlan {
  layer: number;
  kind: 'global' | 'sliding';
  slots: number;
  /** K and V together */
  bytes: number;
}

/** One GPUBuffer (or typed array on the CPU): created exactly once, with exactly these bytes. */
export interface BufferPlan {
  name: string;
  purpose: 'weights' | 'kv' | 'scratch' | 'staging';
  bytes: number;
}

export interface MatrixPlan {
  name: string;
  rows: number;
  cols: number;
  format: MatrixFormat;
  bytes: number;
}

export interface MemoryPlan {
  request: PlanRequest;
  /** positions the cache can hold: prompt + new - 1, rounded up to the kernels' tile */
  contextTokens: number;
  kvByLayer: KvLayerPlan[];
  matrices: MatrixPlan[];
  buffers: BufferPlan[];
  weights: number;
  kv: number;
  scratch: number;
  staging: number;
  total: number;
  fits: boolean;
  /** what would fit, best first, with numbers, when `fits` is false */
  suggestions: string[];
}
