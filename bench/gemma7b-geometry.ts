import type { JsonObject } from '../src/formats/json';

/** config.json of huggingface.co/google/gemma-7b, with so many layers. */
export const geometryOf = (layers: number): JsonObject => ({
  model_type: 'gemma',
  architectures: ['GemmaForCausalLM'],
  vocab_size: 256000,
  hidden_size: 3072,
  intermediate_size: 24576,
  num_hidden_layers: layers,
  num_attention_heads: 16,
  num_key_value_heads: 16,
  head_dim: 256,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  hidden_act: 'gelu_pytorch_tanh',
  hidden_activation: 'gelu_pytorch_tanh',
  tie_word_embeddings: true,
});
