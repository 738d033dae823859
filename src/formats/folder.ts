/** A folder as Hugging Face lays it out: config.json, tokenizer files and safetensors. */
import { HEAD } from '../model/head';
import { saysTied } from '../model/parse';
import { checkQuantMethod, groupTensors } from './bitsandbytes';
import { type JsonObject, type ParseLimits, parseObject } from './json';
import type { FileLayout, FileNames, FileSize, ReadBytes, TensorRecord } from './layout';
import { plainName } from './names';
import { findWeightFiles, type RawTensor, readTensors, SINGLE, type WeightFiles } from './safetensors';
import { MODULES, readSmall } from './small-files';

/** Twice what Gemma's has, of 262,144 tokens. */
const TOKENIZER_VALUES = 1 << 22;

/**
 * Opens a folder of config.json and safetensors, sharded or not, reading headers and small parts only.
 * A missing tokenizer is null; so is a generation_config.json that is missing or not JSON (some published ones are
 * not).
 * @param readPart reads small parts that lie all over a file
 * @param names for the error where something is missing; absent: the usual names are tried
 * @throws NibbleError corrupt-checkpoint, unsupported-quantization, unsupported-architecture (weights in another kind
 * of file), invalid-option (an adapter's folder), and what `read` and `size` throw
 */
export async function openSafetensorsFolder(
  read: ReadBytes,
  size: FileSize,
  readPart: ReadBytes = read,
  names?: FileNames,
): Promise<FileLayout> {
  const bytesOf = (path: string) => readSmall(path, read, size);
  const object = async (path: string, limits?: ParseLimits): Promise<JsonObject | null> => {
    const bytes = await bytesOf(path);
    return bytes && parseObject(bytes, path, { path }, limits);
  };
  const missing = async (path: string) => (await import('./other-files')).explainMissing(path, read, size, names);
  const config = await object('config.json');
  if (!config) throw await missing('config.json');
  checkQuantMethod(config);
  // on their way while the small files are: each would cost a round trip of its own
  const weights = findWeightFiles(read, size).then(async (files) => files && { ...files, ...(await open(files)) });
  const open = async (found: WeightFiles) => ({ tensors: await readTensors(found, read) });
  weights.catch(() => {});
  const [json, tokenizerConfig, template, generation, modules] = await Promise.all([
    object('tokenizer.json', { values: TOKENIZER_VALUES }),
    object('tokenizer_config.json'),
    bytesOf('chat_template.jinja'),
    bytesOf('generation_config.json'),
    readModules(read, size),
  ]);
  const found = await weights;
  if (!found) throw await missing(SINGLE);
  const { files } = found;
  const layout: FileLayout = {
    config,
    generationConfig: parseLeniently(generation),
    tokenizer: json && {
      json,
      config: { ...tokenizerConfig, ...(template && { chat_template: new TextDecoder().decode(template) }) },
    },
    ...(await recordsOf(found.tensors, readPart)),
    ...(modules && { modules }),
    files,
    totalBytes: files.reduce((sum, file) => sum + file.bytes, 0),
  };
  if (!layout.records.has(HEAD) || !saysTied(config)) return layout;
  return (await import('./tied-head')).settleHead(layout, readPart);
}

/** How texts become vectors; null for a model that sentence-transformers did not save. */
async function readModules(read: ReadBytes, size: FileSize) {
  const bytes = await readSmall(MODULES, read, size);
  return bytes && (await import('./sentence-transformers')).readEmbeddingModules(bytes, read, size);
}

async function recordsOf(tensors: Map<string, RawTensor>, read: ReadBytes) {
  const { records, unread } = await groupTensors(tensors, read);
  const own = [...records].map(([name, record]): [string, TensorRecord] => {
    const plain = plainName(name);
    return [plain, { ...record, info: { ...record.info, name: plain } }];
  });
  return { records: new Map(own), unread: new Map([...unread].map(([name, type]) => [plainName(name), type])) };
}

function parseLeniently(bytes: Uint8Array | null): JsonObject | null {
  try {
    return bytes && parseObject(bytes, 'generation_config.json');
  } catch {
    return null;
  }
}
