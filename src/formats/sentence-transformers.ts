/**
 * The files that sentence-transformers saves beside a model: which modules make one vector of a text's hidden states,
 * and which prompts the model was trained with. As versions 2 to 6 write and read them. Pure.
 */
import { cut, NibbleError } from '../errors';
import type { Pooling } from '../protocol';
import { ACTIVATIONS, type DenseLayer, type EmbeddingModules, plainModules } from './embedding-modules';
import { denseValues } from './half';
import { corrupt, isObject, type JsonObject, parseJson, parseObject } from './json';
import type { FileSize, ReadBytes } from './layout';
import { readTensors } from './safetensors';
import { MODULES, readSmall } from './small-files';

/** By the name that versions up to 5 give a pooling's switch, in the order in which several are joined. */
const POOLINGS: readonly (readonly [old: string, mode: Pooling])[] = [
  ['cls_token', 'cls'],
  ['max_tokens', 'max'],
  ['mean_tokens', 'mean'],
  ['mean_sqrt_len_tokens', 'mean_sqrt_len_tokens'],
  ['weightedmean_tokens', 'weightedmean'],
  ['lasttoken', 'lasttoken'],
];

/** Modules in use: four, or five with a Normalize. */
const MAX_MODULES = 16;
const MAX_PROMPTS = 1000;
/** EmbeddingGemma's two have 9.4 MB each. */
const MAX_DENSE_BYTES = 256e6;

const unknown = (what: string, details: NibbleError['details']) =>
  new NibbleError(
    'unsupported-architecture',
    `${cut(what)} is not supported: it makes no embeddings here. Choose another embedding model.`,
    details,
  );

/**
 * Reads modules.json, and what it names. What is wrong there is said when vectors are asked for: the model may still
 * write text.
 * @param bytes of modules.json
 * @throws what `read` and `size` throw
 */
export async function readEmbeddingModules(
  bytes: Uint8Array,
  read: ReadBytes,
  size: FileSize,
): Promise<EmbeddingModules> {
  try {
    return await readModules(listed(bytes), read, size);
  } catch (error) {
    const isRefusal = error instanceof NibbleError && /^(corrupt|unsupported)/.test(error.code);
    if (!isRefusal) throw error;
    return { ...plainModules('mean'), refusal: error };
  }
}

interface Module {
  kind: string;
  path: string;
}

/** The modules in their order, each by the last word of its class's name. */
function listed(bytes: Uint8Array): Module[] {
  let list: unknown;
  try {
    list = bytes.length < 1e6 && parseJson(new TextDecoder().decode(bytes));
  } catch {
    list = null;
  }
  if (!Array.isArray(list) || list.length > MAX_MODULES || !list.every(isObject))
    throw corrupt(`${MODULES} is no list of up to ${MAX_MODULES} modules`, { path: MODULES });
  return list.map(({ path = '', type }) => {
    const inFolder = typeof path === 'string' && /^([\w-][\w.-]*)?$/.test(path);
    if (!inFolder || typeof type !== 'string')
      throw corrupt(`${MODULES} has a module without a type, or with a path out of the folder`, { path: MODULES });
    return { kind: type.slice(type.lastIndexOf('.') + 1), path };
  });
}

async function readModules(modules: Module[], read: ReadBytes, size: FileSize): Promise<EmbeddingModules> {
  const object = async (path: string): Promise<JsonObject> => {
    const bytes = await readSmall(path, read, size);
    return bytes ? parseObject(bytes, path) : {};
  };
  const [first, pooling, ...rest] = modules;
  if (first?.kind !== 'Transformer' || pooling?.kind !== 'Pooling')
    throw unknown(
      `A ${MODULES} that begins with ${
        modules
          .slice(0, 2)
          .map(({ kind }) => kind)
          .join(', ') || 'nothing'
      }`,
      {
        path: MODULES,
      },
    );
  const [how, whole, text] = await Promise.all([
    object(`${pooling.path}/config.json`),
    object('config_sentence_transformers.json'),
    object('sentence_bert_config.json'),
  ]);
  const layers: EmbeddingModules['layers'][number][] = [];
  for (const { kind, path } of rest) {
    if (kind === 'Normalize') layers.push('normalize');
    else if (kind === 'Dense') layers.push(await readDense(path, await object(`${path}/config.json`), read, size));
    else throw unknown(`The module ${kind} of ${MODULES}`, { path: MODULES, module: kind });
  }
  const prompts = promptsOf(whole);
  const defaultPrompt = typeof whole.default_prompt_name === 'string' ? whole.default_prompt_name : null;
  if (defaultPrompt !== null && !prompts.has(defaultPrompt))
    throw corrupt(`config_sentence_transformers.json has no prompt ${cut(defaultPrompt)}, its default`);
  return {
    refusal: null,
    pooling: poolingOf(how, pooling.path),
    includePrompt: how.include_prompt !== false,
    layers,
    prompts,
    defaultPrompt,
    maxTokens: countOf(text.max_seq_length),
    lowerCase: text.do_lower_case === true,
    dimensions: countOf(whole.truncate_dim),
  };
}

const countOf = (value: unknown): number | null =>
  Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : null;

function promptsOf({ prompts }: JsonObject): Map<string, string> {
  const entries = isObject(prompts) ? Object.entries(prompts) : [];
  const texts = entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  if (texts.length > MAX_PROMPTS)
    throw corrupt(`config_sentence_transformers.json has ${texts.length} prompts; ${MAX_PROMPTS} are allowed`);
  return new Map(texts);
}

/** None that is switched on: mean, as sentence-transformers has it. */
function poolingOf(config: JsonObject, folder: string): Pooling[] {
  const path = `${folder}/config.json`;
  const said = config.pooling_mode;
  const names = [said ?? []].flat();
  for (const name of names) {
    if (!POOLINGS.some(([, mode]) => mode === name)) throw unknown(`The pooling ${name} of ${path}`, { path });
  }
  const isOn = ([old, mode]: (typeof POOLINGS)[number]) =>
    names.length > 0 ? names.includes(mode) : config[`pooling_mode_${old}`] === true;
  const modes = POOLINGS.filter(isOn).map(([, mode]) => mode);
  return modes.length > 0 ? modes : ['mean'];
}

async function readDense(folder: string, config: JsonObject, read: ReadBytes, size: FileSize): Promise<DenseLayer> {
  const { activation_function: named = 'Tanh', module_input_name: input, module_output_name: output } = config;
  const activation = String(named).replace(/.*\./, '');
  if (!Object.hasOwn(ACTIVATIONS, activation)) throw unknown(`The activation ${named} of ${folder}`, { path: folder });
  const isAside = [input, output].some((name) => name != null && name !== 'sentence_embedding');
  if (isAside || config.use_residual === true)
    throw unknown(`A Dense with a residual, or of other inputs than a text's vector (${folder}),`, { path: folder });
  const path = `${folder}/model.safetensors`;
  const bytes = await size(path);
  if (bytes === null) throw unknown(`${folder} without model.safetensors`, { path });
  if (bytes > MAX_DENSE_BYTES) throw corrupt(`${path} has ${bytes} bytes; ${MAX_DENSE_BYTES} are allowed`, { path });
  const tensors = await readTensors({ files: [{ path, bytes }], where: null }, read);
  const valuesOf = async (name: string, shape: readonly (number | null)[]) => {
    const tensor = tensors.get(name);
    const type = tensor && { F32: 'f32', F16: 'f16', BF16: 'bf16' }[tensor.dtype];
    if (!type || shape.length !== tensor.shape.length || shape.some((n, i) => n !== tensor.shape[i]))
      throw corrupt(`${path} has no ${name} of shape [${shape}] in 16 or 32 bits`, { path, tensor: name });
    const stored = await read(path, tensor.start, tensor.end);
    const values = denseValues(stored, type as 'f32' | 'f16' | 'bf16').slice();
    if (!values.every(Number.isFinite)) throw corrupt(`${path}: ${name} holds values that are not finite`, { path });
    return values;
  };
  const [rows, cols] = [countOf(config.out_features), countOf(config.in_features)];
  return {
    rows: rows!,
    cols: cols!,
    weight: await valuesOf('linear.weight', [rows, cols]),
    bias: config.bias === false ? null : await valuesOf('linear.bias', [rows]),
    activation: activation as DenseLayer['activation'],
  };
}
