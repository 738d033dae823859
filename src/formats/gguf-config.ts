/**
 * config.json from a GGUF's metadata, in Hugging Face's keys (4.x style: rope_theta and rope_scaling at the top).
 * What llama.cpp takes by default where a key is missing is taken here too (its src/models/*.cpp and llama-model.cpp).
 */
import type { Architecture } from './gguf-architectures';
import { type Metadata, shortestDecimal } from './gguf-metadata';
import { corrupt, type Json, type JsonObject } from './json';

/** What of the tensors config.json depends on. */
export interface TensorFacts {
  vocab: number;
  /** whether the head has a tensor of its own */
  head: boolean;
  /** whether any layer has biases there */
  biases: { attention: boolean; mlp: boolean };
  /** divisors of the rotary frequencies, by GGUF name (`rope_freqs` and the like); null: not in the file */
  ropeFactors(name: string): readonly number[] | null;
}

/** The bounds of a layer count, so that lists of one entry a layer stay small. */
const MAX_LAYERS = 1024;
/**
 * Layers of the two models whose attention is scaled by width / heads instead of the head size (as llama.cpp tells).
 */
const GEMMA_27B_LAYERS: Readonly<Record<string, number>> = { gemma2: 46, gemma3_text: 62 };

/** Reads `<architecture>.<key>`. */
class Keys {
  constructor(
    private readonly metadata: Metadata,
    private readonly architecture: string,
    readonly path: string,
  ) {}

  need = (key: string) => this.metadata.need(`${this.architecture}.${key}`);
  number = (key: string) => this.metadata.number(`${this.architecture}.${key}`);
  string = (key: string) => this.metadata.string(`${this.architecture}.${key}`);
  boolean = (key: string) => this.metadata.boolean(`${this.architecture}.${key}`);
  decimal(key: string): number | undefined {
    const value = this.number(key);
    return value === undefined ? undefined : shortestDecimal(value);
  }
}

type Refuse = (what: string) => Error;

/**
 * @param refuse makes the unsupported-architecture error of something by its name
 * @throws NibbleError corrupt-checkpoint, and what `refuse` makes
 */
export function ggufConfig(
  architecture: string,
  facts: Architecture,
  metadata: Metadata,
  tensors: TensorFacts,
  path: string,
  refuse: Refuse,
): JsonObject {
  const keys = new Keys(metadata, architecture, path);
  if (keys.number('expert_count')) throw refuse('a mixture of experts');
  const width = keys.need('embedding_length');
  const heads = keys.need('attention.head_count');
  const layers = keys.need('block_count');
  if (!Number.isInteger(layers) || layers < 1 || layers > MAX_LAYERS)
    throw corrupt(`${path}: ${layers} layers`, { path, layers });
  const headSize = keys.number('attention.key_length') ?? width / heads;
  if (!Number.isInteger(headSize / 2)) throw corrupt(`${path}: a head size of ${headSize}`, { path, headSize });
  const valueSize = keys.number('attention.value_length') ?? headSize;
  if (valueSize !== headSize) throw refuse(`a value length of ${valueSize} beside a key length of ${headSize}`);
  const rotated = keys.number('rope.dimension_count') ?? headSize;
  const shape = { width, heads, layers, headSize, rotated };
  return {
    architectures: [facts.className],
    model_type: facts.modelType,
    hidden_size: width,
    intermediate_size: keys.need('feed_forward_length'),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: keys.number('attention.head_count_kv') ?? heads,
    head_dim: headSize,
    ...(rotated !== headSize && { partial_rotary_factor: rotated / headSize }),
    [facts.activationKey]: facts.activation,
    max_position_embeddings: keys.need('context_length'),
    rms_norm_eps: shortestDecimal(keys.need('attention.layer_norm_rms_epsilon')),
    rope_theta: keys.decimal('rope.freq_base') ?? 10000,
    rope_scaling: ropeScaling(keys, tensors, shape, refuse),
    vocab_size: tensors.vocab,
    tie_word_embeddings: !tensors.head,
    ...(metadata.boolean(`${architecture}.attention.causal`) === false && { is_causal: false }),
    ...windows(keys, facts, shape, refuse),
    ...ofFamily(keys, facts.modelType, tensors, shape, refuse),
    bos_token_id: metadata.number('tokenizer.ggml.bos_token_id') ?? null,
    eos_token_id: metadata.number('tokenizer.ggml.eos_token_id') ?? null,
  };
}

interface Shape {
  width: number;
  heads: number;
  layers: number;
  headSize: number;
  /** dims of a head that turn */
  rotated: number;
}

/** Factors in a tensor (Llama 3's and longrope's are divisors of each frequency) or one for all. */
function ropeScaling(keys: Keys, tensors: TensorFacts, { rotated }: Shape, refuse: Refuse): JsonObject | null {
  const factor = keys.decimal('rope.scaling.factor') ?? keys.decimal('rope.scale_linear') ?? 0;
  // llama.cpp: linear where nothing is said; a factor of 0 is none.
  const type = keys.string('rope.scaling.type') ?? (factor ? 'linear' : 'none');
  if (!['none', 'linear', 'longrope'].includes(type)) throw refuse(`rope scaling of type ${type}`);
  const linear = type === 'linear' && factor !== 0 && factor !== 1;
  const [all, long, short] = ['rope_freqs', 'rope_factors_long', 'rope_factors_short'].map(tensors.ropeFactors);
  for (const factors of [all, long, short]) {
    if (factors && (factors.length !== rotated / 2 || !factors.every((f) => Number.isFinite(f) && f > 0))) {
      const message = `${keys.path}: ${factors.length} rope factors for ${rotated / 2} frequencies, or one that is no number above 0`;
      throw corrupt(message, { path: keys.path, factors: factors.length, expected: rotated / 2 });
    }
  }
  if (!long !== !short || (type === 'longrope' && !long && !all))
    throw corrupt(`${keys.path} has no rope_factors_${long ? 'short' : 'long'}.weight`, { path: keys.path });
  if (linear && (all || long)) throw refuse('linear rope scaling together with a factor a frequency');
  if (all && long) throw refuse('rope_freqs.weight together with rope_factors_long.weight');
  if (linear) return { rope_type: 'linear', factor };
  const context = keys.need('context_length');
  if (long && short) {
    const attention = keys.decimal('rope.scaling.attn_factor');
    return {
      rope_type: 'longrope',
      short_factor: [...short],
      long_factor: [...long],
      ...(attention !== undefined && { attention_factor: attention }),
      original_max_position_embeddings: keys.number('rope.scaling.original_context_length') ?? context,
    };
  }
  if (!all) return null;
  return {
    rope_type: 'longrope',
    short_factor: [...all],
    long_factor: [...all],
    attention_factor: 1,
    original_max_position_embeddings: context,
  };
}

/** sliding_window, and which layers slide where not all do. */
function windows(
  keys: Keys,
  { windows: period, modelType }: Architecture,
  { layers }: Shape,
  refuse: Refuse,
): Record<string, Json> {
  const window = keys.number('attention.sliding_window') || (modelType === 'gemma2' ? 4096 : null);
  if (period === 1) {
    if (window) throw refuse(`a sliding window in ${modelType}`);
    return {};
  }
  if (period === 'all') return { sliding_window: window };
  const every = keys.number('attention.sliding_window_pattern') ?? period;
  const slides = (layer: number) => window !== null && (layer + 1) % every !== 0;
  return {
    sliding_window: window,
    layer_types: Array.from({ length: layers }, (_, i) => (slides(i) ? 'sliding_attention' : 'full_attention')),
  };
}

function ofFamily(
  keys: Keys,
  modelType: string,
  tensors: TensorFacts,
  { width, heads, layers, headSize }: Shape,
  refuse: Refuse,
): Record<string, Json> {
  const attentionBias = { attention_bias: tensors.biases.attention };
  const biases = { ...attentionBias, mlp_bias: tensors.biases.mlp };
  switch (modelType) {
    case 'llama':
      return biases;
    case 'qwen3':
    case 'gemma':
    case 'olmo2':
      return attentionBias;
    case 'gemma2':
    case 'gemma3_text': {
      const gemma2 = modelType === 'gemma2';
      return {
        ...attentionBias,
        query_pre_attn_scalar: GEMMA_27B_LAYERS[modelType] === layers ? width / heads : headSize,
        attn_logit_softcapping: keys.decimal('attn_logit_softcapping') ?? (gemma2 ? 50 : null),
        final_logit_softcapping: keys.decimal('final_logit_softcapping') ?? (gemma2 ? 30 : null),
        ...(!gemma2 && { rope_local_base_freq: keys.decimal('rope.freq_base_swa') ?? 10000 }),
      };
    }
    case 'phi3':
      return {
        original_max_position_embeddings:
          keys.number('rope.scaling.original_context_length') ?? keys.need('context_length'),
      };
    case 'granite':
      if (keys.boolean('rope.scaling.finetuned') === false) throw refuse('Granite without rotary embeddings');
      return {
        ...biases,
        // llama.cpp reads a scale of 0 as "not scaled".
        embedding_multiplier: keys.decimal('embedding_scale') || 1,
        residual_multiplier: keys.decimal('residual_scale') || 1,
        attention_multiplier: keys.decimal('attention.scale') || headSize ** -0.5,
        logits_scaling: keys.decimal('logit_scale') || 1,
      };
    case 'smollm3':
      return {
        ...biases,
        use_sliding_window: false,
        // GGUF does not say which layers have no positions; llama.cpp takes every fourth.
        no_rope_layers: Array.from({ length: layers }, (_, i) => Number((i + 1) % 4 !== 0)),
      };
    default:
      return {};
  }
}
