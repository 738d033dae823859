/** The four models whose sizes the GPU's benchmarks take, as their config.json has them; weights are random. */
const LLAMA = {
  model_type: 'llama',
  rms_norm_eps: 1e-5,
  hidden_act: 'silu',
  max_position_embeddings: 32768,
  attention_bias: false,
  mlp_bias: false,
};

export const GPU_GEOMETRIES = {
  'SmolLM2-135M': {
    ...LLAMA,
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    vocab_size: 49152,
    rope_theta: 100000,
    tie_word_embeddings: true,
  },
  'Qwen2-0.5B': {
    ...LLAMA,
    model_type: 'qwen2',
    hidden_size: 896,
    intermediate_size: 4864,
    num_hidden_layers: 24,
    num_attention_heads: 14,
    num_key_value_heads: 2,
    vocab_size: 151936,
    rope_theta: 1000000,
    tie_word_embeddings: true,
  },
  'Llama-3.2-1B': {
    ...LLAMA,
    hidden_size: 2048,
    intermediate_size: 8192,
    num_hidden_layers: 16,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    vocab_size: 128256,
    rope_theta: 500000,
    tie_word_embeddings: true,
  },
  'Llama-3.1-8B': {
    ...LLAMA,
    hidden_size: 4096,
    intermediate_size: 14336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    vocab_size: 128256,
    rope_theta: 500000,
    tie_word_embeddings: false,
  },
} as const;
export type GpuGeometry = keyof typeof GPU_GEOMETRIES;
