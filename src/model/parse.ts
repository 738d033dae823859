/**
 * config.json -> ModelSpec. Each family is a row of a table; what a config leaves out takes the default that
 * transformers gives the family. Strict: a number that is missing or absurd, or a feature that changes the answer and
 * is not implemented, is refused by name. Reads the 4.x style (rope_theta, rope_scaling) and the 5.x style
 * (rope_parameters, layer_types), and the text part of a multimodal config (text_config).
 */
import { NibbleError } from '../errors';
import type { JsonObject } from '../formats/json';
import { integer, object, positive, real, text, truth } from './fields';
import { parseRope } from './rope';
import type { Activation, LayerSpec, ModelSpec } from './spec';

/** What a family's config.json does not say. Source: transformers' configuration_*.py. */
interface Family {
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
  /** which layers have positions; `sliding` says whether the layer has a window */
  positions: (layer: number, config: JsonObject, sliding: boolean) => boolean;
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
  positions: () => true,
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

const FAMILIES: Readonly<Record<string, Family>> = {
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
    positions: hasPositions,
    slides: (layer, config) => !hasPositions(layer, config),
  },
  olmo2: { ...LLAMA, mlpBias: false, qkNorm: 'projection', normPlacement: 'post', defaults: { rms_norm_eps: 1e-5 } },
  granite: { ...LLAMA, multipliers: true },
};
/** The model types that have a row. */
export const FAMILY_NAMES: readonly string[] = Object.keys(FAMILIES);
/** Families whose config holds a language model's under text_config, among others. */
const MULTIMODAL: Readonly<Record<string, string>> = { gemma3: 'gemma3_text' };

const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  silu: 'silu',
  swish: 'silu',
  gelu_pytorch_tanh: 'gelu_tanh',
};

/** Limits beyond which a number is a damaged file and not a model: they keep later products well under 2^53. */
const MAX_WIDTH = 1 << 17;

/**
 * @param file config.json
 * @throws NibbleError unsupported-architecture (family, activation, rope type or layer type, by name),
 *   corrupt-checkpoint (a number that is missing or absurd, with the value)
 */
export function parseSpec(file: JsonObject): ModelSpec {
  const { name, family, config } = familyOf(file);
  if (truth(config, 'use_bidirectional_attention', false)) {
    throw new NibbleError(
      'unsupported-architecture',
      'Models that look ahead (use_bidirectional_attention) do not write text.',
    );
  }
  const width = integer(config, 'hidden_size', 2, MAX_WIDTH);
  const heads = integer(config, 'num_attention_heads', 1, 1024);
  const kvHeads = integer(config, 'num_key_value_heads', 1, heads, heads);
  const headSize = integer(config, 'head_dim', 2, 1024, Math.floor(width / heads));
  if (heads % kvHeads || headSize % 2) {
    throw new NibbleError(
      'corrupt-checkpoint',
      `config.json: ${heads} heads do not divide over ${kvHeads} of ${headSize}.`,
      { heads, kvHeads, headSize },
    );
  }
  const factor = (key: string) => (family.multipliers ? positive(config, key, 1) : 1);
  const qkvBias = family.qkvBias === 'config' ? truth(config, 'attention_bias', false) : family.qkvBias;
  return {
    family: name,
    layers: layersOf(config, family, headSize),
    width,
    heads,
    kvHeads,
    headSize,
    mlpWidth: integer(config, 'intermediate_size', 1, MAX_WIDTH * 8),
    vocab: integer(config, 'vocab_size', 1, 1 << 22),
    contextLength: integer(config, 'max_position_embeddings', 1, 1 << 27),
    normEps: real(config, 'rms_norm_eps', 0, 0.1, 1e-6),
    normOffset: family.gemma ? 1 : 0,
    activation: activationOf(config, family),
    embedScale: family.gemma ? roundToBf16(Math.sqrt(width)) : factor('embedding_multiplier'),
    attentionScale: family.multipliers
      ? factor('attention_multiplier')
      : (family.gemma ? positive(config, 'query_pre_attn_scalar', headSize) : headSize) ** -0.5,
    attentionSoftcap: softcap(config, 'attn_logit_softcapping'),
    logitSoftcap: softcap(config, 'final_logit_softcapping'),
    residualScale: factor('residual_multiplier'),
    logitScale: 1 / factor('logits_scaling'),
    tiedHead: truth(config, 'tie_word_embeddings', false),
    bias: {
      qkv: qkvBias,
      o: family.qkvBias === 'config' && qkvBias,
      mlp: family.mlpBias === 'config' && truth(config, 'mlp_bias', false),
    },
    qkNorm: family.qkNorm,
    normPlacement: family.normPlacement,
    fused: family.fused,
  };
}

/** Whether config.json says that the head is the embedding; false, too, where it says nothing that is understood. */
export function saysTied(file: JsonObject): boolean {
  try {
    return truth(familyOf(file).config, 'tie_word_embeddings', false);
  } catch {
    return false;
  }
}

/** The family's row and the config with its defaults filled in; of a multimodal one, its text part. */
function familyOf(file: JsonObject): { name: string; family: Family; config: JsonObject } {
  const type = text(file, 'model_type');
  const textType = Object.hasOwn(MULTIMODAL, type) ? MULTIMODAL[type] : null;
  const name = textType ?? type;
  const family = Object.hasOwn(FAMILIES, name) ? FAMILIES[name] : undefined;
  if (!family) {
    throw new NibbleError(
      'unsupported-architecture',
      `Models of type "${type}" are not supported; these are: ${[...FAMILY_NAMES, ...Object.keys(MULTIMODAL)].join(', ')}.`,
      { modelType: type },
    );
  }
  const config = textType ? (object(file, 'text_config') ?? {}) : file;
  return { name, family, config: { ...family.defaults, ...config } };
}

const softcap = (config: JsonObject, key: string) => (config[key] == null ? null : positive(config, key));

function activationOf(config: JsonObject, family: Family): Activation {
  // Gemma 1 shipped `hidden_act: gelu` by mistake and means the tanh form, as transformers says in its code.
  if (family.gemma && config.hidden_activation == null) return 'gelu_tanh';
  const name = text(config, config.hidden_activation == null ? 'hidden_act' : 'hidden_activation', 'silu');
  const activation = Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
  if (activation) return activation;
  throw new NibbleError('unsupported-architecture', `The activation "${name}" is not supported.`, { activation: name });
}

function layersOf(config: JsonObject, family: Family, headSize: number): LayerSpec[] {
  const count = integer(config, 'num_hidden_layers', 1, 1024);
  const on = !family.windowSwitch || truth(config, 'use_sliding_window', false);
  const window = !on || config.sliding_window == null ? null : integer(config, 'sliding_window', 1, 1 << 27);
  const types = layerTypes(config, count);
  const ropes = ropesOf(config, headSize);
  return Array.from({ length: count }, (_, i) => {
    const sliding = types ? types[i] === 'sliding_attention' : window !== null && family.slides(i, config);
    const rope = family.positions(i, config, sliding) ? ropes[sliding ? 'sliding' : 'global'] : null;
    if (!sliding) return { kind: 'global', window: null, rope };
    if (window === null) {
      throw new NibbleError('corrupt-checkpoint', 'config.json has sliding layers but no sliding_window.', {
        layer: i,
      });
    }
    return { kind: 'sliding', window, rope };
  });
}

/** Every no_rope_layer_interval-th layer goes without; a list of 0 and 1 may say which (SmolLM3). */
function hasPositions(layer: number, config: JsonObject): boolean {
  const list = config.no_rope_layers;
  if (Array.isArray(list)) {
    if (list[layer] === 0 || list[layer] === 1) return list[layer] === 1;
    throw new NibbleError('corrupt-checkpoint', `config.json: no_rope_layers says nothing of layer ${layer}.`, {
      layer,
    });
  }
  return (layer + 1) % integer(config, 'no_rope_layer_interval', 1, 1024, 4) !== 0;
}

function layerTypes(config: JsonObject, count: number): string[] | null {
  const types = config.layer_types;
  if (types == null) return null;
  if (!Array.isArray(types) || types.length !== count) {
    throw new NibbleError('corrupt-checkpoint', `config.json: layer_types must name ${count} layers.`, {
      layers: count,
    });
  }
  return types.map((type) => {
    if (type === 'full_attention' || type === 'sliding_attention') return type;
    throw new NibbleError('unsupported-architecture', `Layers of type "${type}" are not supported.`, {
      layerType: String(type),
    });
  });
}

/** One rope for both kinds of layers, or two where the config has a local base (Gemma 3). */
function ropesOf(config: JsonObject, headSize: number): { global: LayerSpec['rope']; sliding: LayerSpec['rope'] } {
  const parameters = object(config, 'rope_parameters');
  const local = config.rope_local_base_freq;
  const byKind = parameters && (object(parameters, 'full_attention') || object(parameters, 'sliding_attention'));
  if (parameters && byKind) {
    return {
      global: parseRope(object(parameters, 'full_attention') ?? {}, config, headSize),
      sliding: parseRope({ rope_theta: local ?? null, ...object(parameters, 'sliding_attention') }, config, headSize),
    };
  }
  const global = parseRope(
    parameters ?? { ...object(config, 'rope_scaling'), rope_theta: config.rope_theta ?? null },
    config,
    headSize,
  );
  return { global, sliding: local == null ? global : parseRope({ rope_theta: local }, config, headSize) };
}

/** Nearest bfloat16, ties to even: Gemma multiplies its embeddings by a factor rounded in the weights' type. */
function roundToBf16(value: number): number {
  const bits = new Uint32Array(new Float32Array([value]).buffer);
  bits[0] = (bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(bits.buffer)[0];
}
