/**
 * What llama.cpp's converter makes of each family of src/model/families.ts, a row each: its tensor names, the order of
 * q's and k's rows, and what it adds to norms. Facts: conversion/*.py and src/models/*.cpp of ggml-org/llama.cpp.
 */

export interface Architecture {
  modelType: string;
  className: string;
  /** by llama.cpp's name within a block: Hugging Face's within a layer */
  modules: Readonly<Record<string, string>>;
  /** Hugging Face's modules that may have a bias; of others it is refused */
  biased: RegExp;
  /** q and k stand with a head's rotary pairs side by side (llama and what derives from it; no other family) */
  interleaved: boolean;
  /** norms are stored as 1 + w */
  shiftedNorms: boolean;
  /** config.json says hidden_activation instead of hidden_act (Gemma 2, 3) */
  activationKey: 'hidden_act' | 'hidden_activation';
  activation: 'silu' | 'gelu_pytorch_tanh';
  /** every `period`-th layer is global, the others slide; 1: all are global; 'all': every layer slides */
  windows: number | 'all';
}

const ATTENTION = { attn_q: 'q_proj', attn_k: 'k_proj', attn_v: 'v_proj', attn_output: 'o_proj' };
const QK_NORMS = { attn_q_norm: 'q_norm', attn_k_norm: 'k_norm' };
const MLP = { ffn_gate: 'mlp.gate_proj', ffn_up: 'mlp.up_proj', ffn_down: 'mlp.down_proj' };
const PRE_NORMS = { attn_norm: 'input_layernorm', ffn_norm: 'post_attention_layernorm' };
const POST_NORMS = {
  post_attention_norm: 'post_attention_layernorm',
  post_ffw_norm: 'post_feedforward_layernorm',
};
const SANDWICH_NORMS = { attn_norm: 'input_layernorm', ffn_norm: 'pre_feedforward_layernorm', ...POST_NORMS };

const attention = (modules: Record<string, string>) =>
  Object.fromEntries(Object.entries(modules).map(([name, module]) => [name, `self_attn.${module}`]));

const LLAMA: Architecture = {
  modelType: 'llama',
  className: 'LlamaForCausalLM',
  modules: { ...attention(ATTENTION), ...MLP, ...PRE_NORMS },
  biased: /_proj$/,
  interleaved: true,
  shiftedNorms: false,
  activationKey: 'hidden_act',
  activation: 'silu',
  windows: 1,
};
const QWEN2: Architecture = {
  ...LLAMA,
  modelType: 'qwen2',
  className: 'Qwen2ForCausalLM',
  biased: /[qkv]_proj$/,
  interleaved: false,
};
/** q, k, v and o, as attention_bias has it */
const ATTENTION_BIASES = /^self_attn\.._proj$/;
const GEMMA: Architecture = {
  ...LLAMA,
  modelType: 'gemma',
  className: 'GemmaForCausalLM',
  biased: ATTENTION_BIASES,
  interleaved: false,
  shiftedNorms: true,
  activation: 'gelu_pytorch_tanh',
};
const GEMMA2: Architecture = {
  ...GEMMA,
  modelType: 'gemma2',
  className: 'Gemma2ForCausalLM',
  modules: { ...attention(ATTENTION), ...MLP, ...SANDWICH_NORMS },
  activationKey: 'hidden_activation',
  windows: 2,
};

/** Mistral 7B v0.1, whose layers all slide, is a llama with a window. */
export const MISTRAL: Architecture = {
  ...LLAMA,
  modelType: 'mistral',
  className: 'MistralForCausalLM',
  biased: /$^/,
  windows: 'all',
};

/** By `general.architecture`. */
export const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  llama: LLAMA,
  qwen2: QWEN2,
  qwen3: {
    ...QWEN2,
    modelType: 'qwen3',
    className: 'Qwen3ForCausalLM',
    biased: ATTENTION_BIASES,
    modules: { ...QWEN2.modules, ...attention(QK_NORMS) },
  },
  gemma: GEMMA,
  gemma2: GEMMA2,
  gemma3: {
    ...GEMMA2,
    modelType: 'gemma3_text',
    className: 'Gemma3ForCausalLM',
    modules: { ...GEMMA2.modules, ...attention(QK_NORMS) },
    windows: 6,
  },
  phi3: {
    ...QWEN2,
    modelType: 'phi3',
    className: 'Phi3ForCausalLM',
    biased: /$^/,
    modules: {
      ...attention({ attn_qkv: 'qkv_proj', attn_output: 'o_proj' }),
      ffn_up: 'mlp.gate_up_proj',
      ffn_down: 'mlp.down_proj',
      ...PRE_NORMS,
    },
    windows: 'all',
  },
  olmo2: {
    ...QWEN2,
    modelType: 'olmo2',
    className: 'Olmo2ForCausalLM',
    biased: ATTENTION_BIASES,
    modules: { ...attention({ ...ATTENTION, ...QK_NORMS }), ...MLP, ...POST_NORMS },
  },
  granite: { ...LLAMA, modelType: 'granite', className: 'GraniteForCausalLM' },
  smollm3: { ...LLAMA, modelType: 'smollm3', className: 'SmolLM3ForCausalLM' },
};

const TOP: Readonly<Record<string, string>> = {
  'token_embd.weight': 'model.embed_tokens.weight',
  'output_norm.weight': 'model.norm.weight',
  'output.weight': 'lm_head.weight',
};

/** Hugging Face's name of a tensor, or null for one that the architecture does not have. */
export function huggingFaceName(name: string, { modules, biased }: Architecture): string | null {
  if (Object.hasOwn(TOP, name)) return TOP[name];
  const [, layer, short, part] = /^blk\.(\d+)\.(\w+)\.(weight|bias)$/.exec(name) ?? [];
  const module = short && Object.hasOwn(modules, short) ? modules[short] : null;
  return module && (part === 'weight' || biased.test(module)) ? `model.layers.${layer}.${module}.${part}` : null;
}
