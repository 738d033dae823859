/**
 * Families of models, a row each: what its config.json does not say. What such models look like in a GGUF stands in the
 * rows of src/formats/gguf-architectures.ts. Source: transformers' configuration_*.py and modeling_*.py.
 */
import { NibbleError } from '../errors';
import type { JsonObject } from '../formats/json';
import { integer } from './fields';
import type { ModelSpec } from './spec';

/** What parse.ts takes as given of a model of this family. */
export interface Family {
  /** values of keys that config.json may leave out */
  defaults: JsonObject;
  /** biases of q, k and v; 'config': as attention_bias says, and then o has one too */
  qkvBias: boolean | 'config';
  mlpBias: 'config' | false;
  qkNorm: ModelSpec['qkNorm'];
  /** norms multiply by (1 + w), the embedding is scaled by sqrt(width), the activation is GELU-tanh */
  gemma: boolean;
  normPlacement: ModelSpec['normPlacement'];
  fused: boolean;
  /** q·k, embeddings, sub-layers and logits have factors of their own in config.json */
  multipliers: boolean;
  /** a window counts only where use_sliding_window is true */
  windowSwitch: boolean;
  /** which layers turn queries and keys by their positions; `sliding` says whether the layer has a window */
  hasPositions: (layer: number, config: JsonObject, sliding: boolean) => boolean;
  /** which layers slide when layer_types is absent and there is a window */
  slides: (layer: number, config: JsonObject) => boolean;
}

const LLAMA: Family = {
  defaults: {},
  qkvBias: 'config',
  mlpBias: 'config',
  qkNorm: 'none',
  gemma: false,
  normPlacement: 'pre',
  fused: false,
  multipliers: false,
  windowSwitch: false,
  hasPositions: () => true,
  slides: () => false,
};
const QWEN: Family = {
  ...LLAMA,
  mlpBias: false,
  windowSwitch: true,
  slides: (layer, config) => layer >= integer(config, 'max_window_layers', 0, 1024, 28),
};
const GEMMA: Family = {
  ...LLAMA,
  defaults: { head_dim: 256, tie_word_embeddings: true },
  mlpBias: false,
  gemma: true,
};

/** By model_type of config.json. */
export const FAMILIES: Readonly<Record<string, Family>> = {
  llama: LLAMA,
  mistral: { ...LLAMA, qkvBias: false, mlpBias: false, slides: () => true },
  qwen2: { ...QWEN, qkvBias: true },
  qwen3: { ...QWEN, defaults: { head_dim: 128 }, qkNorm: 'head' },
  gemma: GEMMA,
  gemma2: {
    ...GEMMA,
    defaults: {
      ...GEMMA.defaults,
      query_pre_attn_scalar: 256,
      attn_logit_softcapping: 50,
      final_logit_softcapping: 30,
      sliding_window: 4096,
    },
    normPlacement: 'sandwich',
    slides: (layer) => layer % 2 === 0,
  },
  gemma3_text: {
    ...GEMMA,
    // multimodal configs leave out nearly everything
    defaults: {
      ...GEMMA.defaults,
      num_attention_heads: 8,
      num_key_value_heads: 4,
      query_pre_attn_scalar: 256,
      vocab_size: 262208,
      max_position_embeddings: 131072,
      sliding_window: 4096,
      rope_theta: 1e6,
      rope_local_base_freq: 1e4,
    },
    normPlacement: 'sandwich',
    qkNorm: 'head',
    slides: (layer, config) => (layer + 1) % integer(config, 'sliding_window_pattern', 1, 1024, 6) !== 0,
  },
  phi3: { ...LLAMA, qkvBias: false, mlpBias: false, fused: true, defaults: { rms_norm_eps: 1e-5 }, slides: () => true },
  smollm3: {
    ...LLAMA,
    defaults: { rope_theta: 2e6, tie_word_embeddings: true },
    windowSwitch: true,
    hasPositions: smollm3HasPositions,
    slides: (layer, config) => !smollm3HasPositions(layer, config),
  },
  olmo2: { ...LLAMA, mlpBias: false, qkNorm: 'projection', normPlacement: 'post', defaults: { rms_norm_eps: 1e-5 } },
  granite: { ...LLAMA, multipliers: true },
};
/** Families whose config holds a language model's under text_config, among others. */
export const MULTIMODAL: Readonly<Record<string, string>> = { gemma3: 'gemma3_text' };

/** Every no_rope_layer_interval-th layer goes without; a list of 0 and 1 may say which (SmolLM3). */
function smollm3HasPositions(layer: number, config: JsonObject): boolean {
  const list = config.no_rope_layers;
  if (Array.isArray(list)) {
    if (list[layer] === 0 || list[layer] === 1) return list[layer] === 1;
    throw new NibbleError('corrupt-checkpoint', `config.json: no_rope_layers says nothing of layer ${layer}.`, {
      layer,
    });
  }
  return (layer + 1) % integer(config, 'no_rope_layer_interval', 1, 1024, 4) !== 0;
}
