/** For tests: executors on WebGPU by the makers of ../../cpu/test/models.ts. */
import type { Gpu } from '../../../gpu/device';
import { VARIANTS } from '../../../kernels/variants';
import { DEFAULT_LIMITS, type PlanLimits, planMemory } from '../../../memory/plan';
import { parseSpec } from '../../../model/parse';
import type { ModelSpec } from '../../../model/spec';
import type { Maker } from '../../cpu/test/models';
import { type OneCache, withOneCache } from '../../test/one-cache';
import { createGpuExecutor } from '../executor';

export const limitsOf = (binding?: number): PlanLimits =>
  binding ? { maxBufferSize: binding, maxStorageBufferBindingSize: binding } : DEFAULT_LIMITS;

/**
 * @param open gets every executor made, for the test to dispose of
 * @param binding the largest buffer, bytes
 * @param ahead steps that are encoded ahead
 */
export const webgpu = (
  gpu: Promise<Gpu>,
  open: OneCache[],
  binding?: number,
  ahead?: number,
  shapes = VARIANTS.small,
): Maker => ({
  target: 'webgpu',
  limits: limitsOf(binding),
  async make(model, plan) {
    const planned = planMemory(model, plan.request, limitsOf(binding), 'webgpu');
    const made = withOneCache(await createGpuExecutor(await gpu, model, planned, { variant: 'small', shapes, ahead }));
    open.push(made);
    return made;
  },
});

/** Two layers, one of which slides over the last nine positions. */
export const tiny = (more = {}): ModelSpec =>
  parseSpec({
    model_type: 'mistral',
    hidden_size: 64,
    intermediate_size: 128,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 16,
    vocab_size: 97,
    max_position_embeddings: 256,
    sliding_window: 9,
    layer_types: ['sliding_attention', 'full_attention'],
    ...more,
  });

/** The same model whose every layer keeps everything: what a ring must equal. */
export const unringed = (spec: ModelSpec): ModelSpec => ({
  ...spec,
  layers: spec.layers.map((layer) => ({ ...layer, kind: 'global' as const })),
});

export const prompt = (n: number, seed = 7): number[] => Array.from({ length: n }, (_, i) => (i * 31 + seed) % 97);
