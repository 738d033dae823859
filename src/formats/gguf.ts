/** GGUF as a Hugging Face checkpoint: config, tokenizer, tensor names, row order and values. */
import { NibbleError } from '../errors';
import type { Pooling } from '../protocol';
import { plainModules } from './embedding-modules';
import { ARCHITECTURES, type Architecture, huggingFaceName, MISTRAL } from './gguf-architectures';
import { BLOCK_TYPES } from './gguf-blocks';
import { ggufConfig } from './gguf-config';
import type { GgufType } from './gguf-header';
import { Metadata, shortestDecimal } from './gguf-metadata';
import { type PlacedTensor, readGgufFiles } from './gguf-split';
import { ggufTokenizer } from './gguf-tokenizer';
import { denseValues } from './half';
import { corrupt, type JsonObject } from './json';
import type { Encoding, FileLayout, FileSize, ReadBytes, TensorRecord } from './layout';
import type { BlockTypeName, DenseType, MatrixFormat, TensorInfo } from './matrix';

/** Divisors of the rotary frequencies: read at once, as they are part of config.json. */
const ROPE_FACTORS = ['rope_freqs', 'rope_factors_long', 'rope_factors_short'];
/** Half of the largest head. */
const MAX_ROPE_FACTORS = 512;

const DENSE: Readonly<Record<Exclude<GgufType, BlockTypeName>, DenseType>> = { F32: 'f32', F16: 'f16', BF16: 'bf16' };

function isBlockType(type: GgufType): type is BlockTypeName {
  return Object.hasOwn(BLOCK_TYPES, type);
}

function encodingOf(type: GgufType): { encoding: Encoding; stored: TensorInfo['stored']; format: MatrixFormat } {
  if (isBlockType(type)) {
    const { format, ...block } = BLOCK_TYPES[type];
    return { encoding: { kind: 'blocks', ...block }, stored: type, format };
  }
  const dense = DENSE[type];
  return { encoding: { kind: 'dense', type: dense }, stored: dense, format: { type: dense } };
}

function record(
  tensor: PlacedTensor,
  name: string,
  headSize: number,
  { interleaved, shiftedNorms }: Architecture,
): TensorRecord {
  const { path } = tensor;
  const [cols, ...others] = tensor.dims;
  const rows = others.reduce((a, b) => a * b, 1);
  const { encoding, stored, format } = encodingOf(tensor.type);
  const rotary = interleaved && /\.self_attn\.[qk]_proj\./.test(name);
  const turned = rows > 1 ? rows : cols;
  if (rotary && turned % headSize) {
    throw corrupt(`${path}: ${tensor.name} has ${turned} rows, no multiple of the head size ${headSize}`, {
      path,
      tensor: tensor.name,
    });
  }
  const shifted = shiftedNorms && encoding.kind === 'dense' && name.endsWith('norm.weight');
  return {
    info: {
      name,
      rows,
      cols,
      stored,
      format: shifted ? { type: 'f32' } : format,
      storedBytes: tensor.end - tensor.start,
    },
    statistics: [],
    data: { path, start: tensor.start, end: tensor.end },
    encoding,
    interleavedHead: rotary ? headSize : null,
    ...(shifted && { addend: -1 }),
  };
}

/**
 * Opens a GGUF, reading its header only (and the rotary factors, where it has some).
 * @param named the file, or any one of several (gguf-split.ts)
 * @throws NibbleError corrupt-checkpoint, unsupported-architecture (architecture, rope scaling, tokenizer or tensor by
 * name), unsupported-quantization, and what `read` and `size` throw
 */
export async function openGguf(named: string, read: ReadBytes, size: FileSize): Promise<FileLayout> {
  const { files, ...header } = await readGgufFiles(named, read, size);
  const [{ path }] = files;
  const metadata = new Metadata(header.metadata, path);
  const refuse = (what: string) => refusal(what, path);
  const name = metadata.string('general.architecture');
  if (name === undefined || !Object.hasOwn(ARCHITECTURES, name))
    throw refuse(`the architecture ${JSON.stringify(name ?? null)}`);
  const slides = name === 'llama' && metadata.number('llama.attention.sliding_window');
  const architecture = slides ? MISTRAL : ARCHITECTURES[name];
  const tensors = new Map(header.tensors.map((tensor) => [tensor.name, tensor]));
  const embedding = tensors.get('token_embd.weight');
  if (!embedding) throw corrupt(`${path} has no token_embd.weight`, { path });
  const factors = new Map<string, readonly number[]>();
  for (const kind of ROPE_FACTORS) {
    const tensor = tensors.get(`${kind}.weight`);
    if (tensor) factors.set(kind, await readFactors(tensor, read));
    tensors.delete(`${kind}.weight`);
  }
  const some = (pattern: RegExp) => header.tensors.some((tensor) => pattern.test(tensor.name));
  const facts = {
    vocab: embedding.dims[1] ?? 1,
    head: tensors.has('output.weight'),
    biases: { attention: some(/\.attn_(q|k|v|output)\.bias$/), mlp: some(/\.ffn_(gate|up|down)\.bias$/) },
    ropeFactors: (kind: string) => factors.get(kind) ?? null,
  };
  const config = ggufConfig(name, architecture, metadata, facts, path, refuse);
  const records = new Map<string, TensorRecord>();
  for (const tensor of tensors.values()) {
    const module = huggingFaceName(tensor.name, architecture);
    if (!module) throw refuse(`the tensor ${tensor.name} of ${name}`);
    records.set(module, record(tensor, module, config.head_dim as number, architecture));
  }
  return {
    config,
    generationConfig: generationConfig(metadata),
    tokenizer: ggufTokenizer(metadata, path),
    ...modulesOf(metadata.number(`${name}.pooling_type`)),
    records,
    files,
    totalBytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** By llama.cpp's numbers of 1 and more; a head that ranks is none of these. */
const POOLING_TYPES: readonly Pooling[] = ['mean', 'cls', 'lasttoken'];

/** How a text becomes a vector, where the file says it; of length 1 then, as llama.cpp makes it. */
function modulesOf(type = 0): Pick<FileLayout, 'modules'> {
  const pooling = POOLING_TYPES[type - 1];
  return pooling ? { modules: { ...plainModules(pooling), layers: ['normalize'] } } : {};
}

async function readFactors({ name, dims, type, start, end, path }: PlacedTensor, read: ReadBytes) {
  if (type !== 'F32' || dims.length !== 1 || dims[0] > MAX_ROPE_FACTORS)
    throw corrupt(`${path}: ${name} is ${type} of shape [${dims}]`, { path, tensor: name, type });
  return Array.from(denseValues(await read(path, start, end), 'f32'), shortestDecimal);
}

function refusal(what: string, path: string): NibbleError {
  return new NibbleError(
    'unsupported-architecture',
    `${path}: ${what} is not supported in GGUF. Choose the model's safetensors version, or a GGUF of one of these ` +
      `architectures: ${Object.keys(ARCHITECTURES).join(', ')}.`,
    { path, what },
  );
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
