/**
 * config.json -> ModelSpec. Each family is a row of families.ts; what a config leaves out takes the default that
 * transformers gives the family. Strict: a number that is missing or absurd, or a feature that changes the answer and
 * is not implemented, is refused by name. Reads the 4.x style (rope_theta, rope_scaling) and the 5.x style
 * (rope_parameters, layer_types), and the text part of a multimodal config (text_config).
 */
import { cut, NibbleError } from '../errors';
import { isObject, type JsonObject } from '../formats/json';
import { FAMILIES, type Family, MULTIMODAL } from './families';
import { integer, object, positive, real, text, truth } from './fields';
import { parseRope } from './rope';
import type { Activation, LayerSpec, ModelSpec } from './spec';

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
  const ahead = looksAhead(config, file);
  if (ahead) {
    throw new NibbleError(
      'unsupported-architecture',
      `This ${name} model looks ahead (${ahead}), as encoders do, which is not supported. Choose an embedding model that reads from left to right, such as Qwen3-Embedding.`,
      { modelType: name, field: ahead },
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

/**
 * What says that a model's tokens see those after them; null: nothing does. Qwen2s that were made encoders (gte-Qwen2,
 * stella) may say it in their `auto_map` alone: their AutoModel is code of their own, which takes the mask away.
 */
function looksAhead(config: JsonObject, file: JsonObject): string | null {
  if (truth(config, 'use_bidirectional_attention', false)) return 'use_bidirectional_attention';
  if (!truth(config, 'is_causal', true)) return 'is_causal: false';
  const own = isObject(file.auto_map) ? file.auto_map.AutoModel : null;
  return own ? `auto_map.AutoModel: ${cut(String(own))}` : null;
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
      `Models of type "${type}" are not supported; these are: ${[...Object.keys(FAMILIES), ...Object.keys(MULTIMODAL)].join(', ')}.`,
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
    const rope = family.hasPositions(i, config, sliding) ? ropes[sliding ? 'sliding' : 'global'] : null;
    if (!sliding) return { kind: 'global', window: null, rope };
    if (window === null) {
      throw new NibbleError('corrupt-checkpoint', 'config.json has sliding layers but no sliding_window.', {
        layer: i,
      });
    }
    return { kind: 'sliding', window, rope };
  });
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
