/** GGUF of the llama architecture as a Hugging Face checkpoint: config, tokenizer, tensor names and row order. */
import { NibbleError } from '../errors';
import { type GgufHeader, type GgufTensor, type GgufValue, readGgufHeader } from './gguf-header';
import { ggufTokenizer } from './gguf-tokenizer';
import { corrupt, type JsonObject } from './json';
import type { Encoding, FileLayout, FileSize, ReadBytes, TensorRecord } from './layout';
import { type DenseType, LINEAR_CODEBOOK, type MatrixFormat } from './matrix';

/** Typed access to metadata: a key of the wrong type is an error, a missing one undefined. */
export class Metadata {
  constructor(
    private readonly values: Map<string, GgufValue>,
    private readonly path: string,
  ) {}

  private get<T>(key: string, type: string): T | undefined {
    const value = this.values.get(key);
    if (value !== undefined && typeof value !== type)
      throw corrupt(`${this.path}: ${key} is no ${type}`, { path: this.path, key });
    return value as T | undefined;
  }

  number = (key: string) => this.get<number>(key, 'number');
  string = (key: string) => this.get<string>(key, 'string');
  boolean = (key: string) => this.get<boolean>(key, 'boolean');

  need(key: string): number {
    const value = this.number(key);
    if (value === undefined) throw corrupt(`${this.path} does not say ${key}`, { path: this.path, key });
    return value;
  }

  list<T extends string | number>(key: string, type: 'string' | 'number'): T[] | undefined {
    const value = this.values.get(key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || value.some((item) => typeof item !== type)) {
      throw corrupt(`${this.path}: ${key} is no list of ${type}s`, { path: this.path, key });
    }
    return value as T[];
  }
}

/** GGUF holds f32 where config.json has decimals: the shortest decimal that rounds to the same f32 (1e-5, not 9.99e-6). */
export function shortestDecimal(f32: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(f32.toPrecision(digits));
    if (Math.fround(short) === f32) return short;
  }
  return f32;
}

const MODULES: Record<string, string> = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};
const TOP: Record<string, string> = {
  'token_embd.weight': 'model.embed_tokens.weight',
  'output_norm.weight': 'model.norm.weight',
  'output.weight': 'lm_head.weight',
};

function huggingFaceName(name: string): string | null {
  if (Object.hasOwn(TOP, name)) return TOP[name];
  const [, layer, module, part] = /^blk\.(\d+)\.(\w+)\.(weight|bias)$/.exec(name) ?? [];
  return module && Object.hasOwn(MODULES, module) ? `model.layers.${layer}.${MODULES[module]}.${part}` : null;
}

const ENCODINGS: Record<
  GgufTensor['type'],
  { encoding: Encoding; stored: TensorRecord['info']['stored']; format: MatrixFormat }
> = {
  F32: dense('f32'),
  F16: dense('f16'),
  BF16: dense('bf16'),
  Q4_1: {
    encoding: { kind: 'Q4_1' },
    stored: 'Q4_1',
    format: { type: 'q4', block: 32, offset: true, codebook: LINEAR_CODEBOOK },
  },
  Q8_0: { encoding: { kind: 'Q8_0' }, stored: 'Q8_0', format: { type: 'q8', block: 32, offset: false } },
};
function dense(type: DenseType) {
  return { encoding: { kind: 'dense', type } as const, stored: type, format: { type } };
}

function record(tensor: GgufTensor, name: string, path: string, headSize: number): TensorRecord {
  const [cols, ...others] = tensor.dims;
  const rows = others.reduce((a, b) => a * b, 1);
  const { encoding, stored, format } = ENCODINGS[tensor.type];
  const rotary = /\.self_attn\.[qk]_proj\./.test(name);
  const turned = rows > 1 ? rows : cols;
  if (rotary && turned % headSize) {
    throw corrupt(`${path}: ${tensor.name} has ${turned} rows, no multiple of the head size ${headSize}`, {
      path,
      tensor: tensor.name,
    });
  }
  return {
    info: { name, rows, cols, stored, format, storedBytes: tensor.end - tensor.start },
    statistics: [],
    data: { path, start: tensor.start, end: tensor.end },
    encoding,
    interleavedHead: rotary ? headSize : null,
  };
}

/**
 * Opens a GGUF file, reading its header only.
 * @throws NibbleError corrupt-checkpoint, unsupported-architecture (architecture, rope scaling, tokenizer or tensor by
 * name), unsupported-quantization, and what `read` and `size` throw
 */
export async function openGguf(path: string, read: ReadBytes, size: FileSize): Promise<FileLayout> {
  const bytes = await size(path);
  if (bytes === null) throw corrupt(`There is no ${path}`, { path });
  const header = await readGgufHeader(path, read, bytes);
  const metadata = new Metadata(header.metadata, path);
  const config = llamaConfig(header, metadata, path);
  const records = new Map<string, TensorRecord>();
  for (const tensor of header.tensors) {
    const name = huggingFaceName(tensor.name);
    if (!name) throw refuse(`the tensor ${tensor.name}`, path);
    records.set(name, record(tensor, name, path, config.head_dim as number));
  }
  return {
    config,
    generationConfig: generationConfig(metadata),
    tokenizer: ggufTokenizer(metadata, path),
    records,
    files: [{ path, bytes }],
    totalBytes: bytes,
  };
}

function refuse(what: string, path: string): NibbleError {
  return new NibbleError(
    'unsupported-architecture',
    `${path}: ${what} is not supported in GGUF. Choose the model's safetensors version, or a GGUF of the llama architecture.`,
    { path, what },
  );
}

function llamaConfig({ tensors }: GgufHeader, metadata: Metadata, path: string): JsonObject {
  const architecture = metadata.string('general.architecture');
  if (architecture !== 'llama') throw refuse(`the architecture ${JSON.stringify(architecture ?? null)}`, path);
  const scaling = metadata.string('llama.rope.scaling.type') ?? 'none';
  if (scaling !== 'none' && scaling !== 'linear') throw refuse(`rope scaling of type ${scaling}`, path);
  if (metadata.number('llama.expert_count')) throw refuse('a mixture of experts', path);
  const has = (name: string) => tensors.some((tensor) => tensor.name === name);
  const width = metadata.need('llama.embedding_length');
  const heads = metadata.need('llama.attention.head_count');
  const rotated = metadata.number('llama.rope.dimension_count');
  const headSize = metadata.number('llama.attention.key_length') ?? rotated ?? width / heads;
  if (!Number.isInteger(headSize / 2)) throw corrupt(`${path}: a head size of ${headSize}`, { path, headSize });
  const valueSize = metadata.number('llama.attention.value_length') ?? headSize;
  if (valueSize !== headSize) throw refuse(`a value length of ${valueSize} beside a key length of ${headSize}`, path);
  const embedding = tensors.find((tensor) => tensor.name === 'token_embd.weight');
  if (!embedding) throw corrupt(`${path} has no token_embd.weight`, { path });
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: width,
    intermediate_size: metadata.need('llama.feed_forward_length'),
    num_hidden_layers: metadata.need('llama.block_count'),
    num_attention_heads: heads,
    num_key_value_heads: metadata.number('llama.attention.head_count_kv') ?? heads,
    head_dim: headSize,
    ...(rotated && rotated !== headSize && { partial_rotary_factor: rotated / headSize }),
    hidden_act: 'silu',
    max_position_embeddings: metadata.need('llama.context_length'),
    rms_norm_eps: shortestDecimal(metadata.need('llama.attention.layer_norm_rms_epsilon')),
    rope_theta: shortestDecimal(metadata.number('llama.rope.freq_base') ?? 10000),
    rope_scaling:
      scaling === 'linear'
        ? { rope_type: 'linear', factor: shortestDecimal(metadata.need('llama.rope.scaling.factor')) }
        : null,
    vocab_size: embedding.dims[1] ?? 1,
    tie_word_embeddings: !has('output.weight'),
    attention_bias: has('blk.0.attn_q.bias'),
    mlp_bias: has('blk.0.ffn_up.bias'),
    bos_token_id: metadata.number('tokenizer.ggml.bos_token_id') ?? null,
    eos_token_id: metadata.number('tokenizer.ggml.eos_token_id') ?? null,
  };
}

function generationConfig(metadata: Metadata): JsonObject {
  const id = (kind: string) => metadata.number(`tokenizer.ggml.${kind}_token_id`);
  const ends = [id('eos'), id('eot'), id('eom')].filter((value) => value !== undefined);
  return {
    ...(id('bos') !== undefined && { bos_token_id: id('bos')! }),
    ...(ends.length > 0 && { eos_token_id: [...new Set(ends)] }),
    ...(id('padding') !== undefined && { pad_token_id: id('padding')! }),
  };
}
