/** The geometries that are compared, as their config.json states them. */
import type { JsonObject } from '../../src/formats/json';

export interface Geometry extends JsonObject {
  model_type: string;
  hidden_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  intermediate_size: number;
  vocab_size: number;
  rms_norm_eps: number;
  rope_theta: number;
}

const COMMON = {
  hidden_act: 'silu',
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  bos_token_id: 1,
  eos_token_id: 2,
};

export const GEOMETRIES: Readonly<Record<string, Geometry>> = {
  /** SmolLM2-135M */
  smollm2: {
    ...COMMON,
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: 576,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    intermediate_size: 1536,
    vocab_size: 49152,
    rms_norm_eps: 1e-5,
    rope_theta: 100000,
    max_position_embeddings: 8192,
  },
  /** no model's: shows in seconds that everything runs */
  tiny: {
    ...COMMON,
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: 128,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    intermediate_size: 256,
    vocab_size: 512,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    max_position_embeddings: 512,
  },
  /** Qwen2-0.5B: biases on q, k and v */
  qwen2: {
    ...COMMON,
    architectures: ['Qwen2ForCausalLM'],
    model_type: 'qwen2',
    hidden_size: 896,
    num_hidden_layers: 24,
    num_attention_heads: 14,
    num_key_value_heads: 2,
    intermediate_size: 4864,
    vocab_size: 151936,
    rms_norm_eps: 1e-6,
    rope_theta: 1000000,
    max_position_embeddings: 32768,
  },
};
