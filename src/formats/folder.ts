/** A folder as Hugging Face lays it out: config.json, tokenizer files and safetensors. */
import { checkQuantMethod, groupTensors } from './bitsandbytes';
import { corrupt, isObject, type JsonObject, parseObject } from './json';
import type { FileLayout, FileSize, ReadBytes, TensorRecord } from './layout';
import { readTensorFiles } from './safetensors';

const MAX_JSON = 256e6; // Gemma's tokenizer.json, the largest in use, has 33 MB

/**
 * Opens a folder of config.json and safetensors, sharded or not, reading headers and small parts only.
 * A missing tokenizer is null; so is a generation_config.json that is missing or not JSON (some published ones are not).
 * @param readApart reads small parts that lie all over a file
 * @throws NibbleError corrupt-checkpoint, unsupported-quantization, and what `read` and `size` throw
 */
export async function openSafetensorsFolder(
  read: ReadBytes,
  size: FileSize,
  readApart: ReadBytes = read,
): Promise<FileLayout> {
  const bytesOf = async (path: string): Promise<Uint8Array | null> => {
    const length = await size(path);
    if (length === null) return null;
    if (length > MAX_JSON) throw corrupt(`${path} has ${length} bytes`, { path, bytes: length, limit: MAX_JSON });
    return read(path, 0, length);
  };
  const object = async (path: string): Promise<JsonObject | null> => {
    const bytes = await bytesOf(path);
    return bytes && parseObject(bytes, path);
  };
  const config = await object('config.json');
  if (!config) throw corrupt('There is no config.json', { path: 'config.json' });
  checkQuantMethod(config);
  // on their way while the small files are: each would cost a round trip of its own
  const weights = readTensorFiles(read, size);
  weights.catch(() => {});
  const [json, tokenizerConfig, template, generation] = await Promise.all([
    object('tokenizer.json'),
    object('tokenizer_config.json'),
    bytesOf('chat_template.jinja'),
    bytesOf('generation_config.json'),
  ]);
  const { tensors, files } = await weights;
  return {
    config,
    generationConfig: parseLeniently(generation),
    tokenizer: json && {
      json,
      config: { ...tokenizerConfig, ...(template && { chat_template: new TextDecoder().decode(template) }) },
    },
    records: languageModel(await groupTensors(tensors, readApart), config),
    files,
    totalBytes: files.reduce((sum, file) => sum + file.bytes, 0),
  };
}

/** Where a multimodal checkpoint keeps its language model; newer files have the second form. */
const LANGUAGE_MODEL = /^(?:language_model\.(?:model\.)?|model\.language_model\.)/;

/** Of a multimodal checkpoint the language model's tensors, under the names that it has alone. */
function languageModel(records: Map<string, TensorRecord>, config: JsonObject): Map<string, TensorRecord> {
  if (!isObject(config.text_config)) return records;
  const own = [...records].flatMap(([name, record]): [string, TensorRecord][] => {
    if (name.endsWith('lm_head.weight')) return [['lm_head.weight', record]];
    return LANGUAGE_MODEL.test(name) ? [[name.replace(LANGUAGE_MODEL, 'model.'), record]] : [];
  });
  return new Map(own.map(([name, record]) => [name, { ...record, info: { ...record.info, name } }]));
}

function parseLeniently(bytes: Uint8Array | null): JsonObject | null {
  try {
    return bytes && parseObject(bytes, 'generation_config.json');
  } catch {
    return null;
  }
}
