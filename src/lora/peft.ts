/**
 * PEFT's LoRA adapters: adapter_config.json and adapter_model.safetensors, checked against the model they shall change.
 * Keys, options and scalings: PEFT 0.21's src/peft/tuners/lora and its own files (reference/fixtures_lora.py); a bias
 * that was trained in an adapted module is saved as `MODULE.base_layer.bias`, elsewhere as `MODULE.bias`. What is not
 * understood is refused by name: an adapter half applied answers plausibly and wrongly.
 */
import { NibbleError } from '../errors';
import { denseValues } from '../formats/half';
import { type JsonObject, parseObject } from '../formats/json';
import type { FileSize, ReadBytes } from '../formats/layout';
import type { DenseType, RowSlice } from '../formats/matrix';
import { type RawTensor, readHeader } from '../formats/safetensors';
import { readSmall } from '../formats/small-files';
import { moduleName, type TargetModule } from './modules';
import { badField, broken, CONFIG, type Config, parseConfig, unsupported } from './peft-config';

export interface AdapterTensor {
  type: DenseType;
  raw: RawTensor;
}

export interface AdapterModule {
  target: TargetModule;
  rank: number;
  /** alpha / rank, or alpha / sqrt(rank) */
  scaling: number;
  /** [rank, cols] */
  a: AdapterTensor;
  /** [rows, rank] */
  b: AdapterTensor;
  /** added to B's product, [rows] */
  bias: AdapterTensor | null;
  /** DoRA's, [rows] */
  magnitude: AdapterTensor | null;
}

export interface Adapter {
  name: string;
  dora: boolean;
  modules: readonly AdapterModule[];
  /** biases that replace the base's */
  biases: readonly { target: TargetModule; values: AdapterTensor }[];
  /** whole tensors, by the targets that compute with them */
  whole: ReadonlyMap<TargetModule, Whole>;
  /** rows of the embedding, or of the head, that were trained: what they are now */
  tokens: readonly TrainedTokens[];
  /** bytes of the weight file */
  bytes: number;
  /** All values of a tensor, row-major. @throws corrupt-checkpoint for one that is not finite; network, aborted */
  read(tensor: AdapterTensor): Promise<Float32Array>;
  /** Some rows of a matrix, as they are stored. @throws as read() */
  slice(tensor: AdapterTensor, row0: number, rows: number): Promise<RowSlice>;
}

export interface TrainedTokens {
  target: TargetModule;
  indices: readonly number[];
  /** [indices, width] */
  values: AdapterTensor;
}

/** A tensor in the place of the model's. */
export interface Whole {
  values: AdapterTensor;
  /** a module of the adapter (modules_to_save); else the model's own, which a later adapter may load once more */
  saved: boolean;
}

const WEIGHTS = 'adapter_model.safetensors';
const MAX_KEY = 500;
const DENSE: Record<string, DenseType> = { F32: 'f32', F16: 'f16', BF16: 'bf16' };

const otherBase = (what: string, details: NibbleError['details']): NibbleError =>
  new NibbleError('invalid-option', `${what}. The adapter was made for another base model.`, details);

/**
 * @param targets the modules of the model, by name
 * @throws corrupt-checkpoint, unsupported-architecture, invalid-option (made for another base)
 */
export async function openAdapter(
  name: string,
  targets: ReadonlyMap<string, TargetModule>,
  read: ReadBytes,
  size: FileSize,
): Promise<Adapter> {
  const config = parseConfig(await readConfig(name, read, size));
  const bytes = await size(WEIGHTS);
  if (bytes === null) {
    if ((await size('adapter_model.bin')) === null) throw broken(`${name} has no ${WEIGHTS}`, { path: WEIGHTS });
    throw unsupported(
      `${name} holds adapter_model.bin, a Python pickle, which may run code and is never read`,
      'Save the adapter again with PEFT 0.6 or later, which writes safetensors.',
      { path: 'adapter_model.bin' },
    );
  }
  const groups = new Map<TargetModule, Map<Role, AdapterTensor>>();
  const paths = new Map<TargetModule, string>();
  const saved = new Map<TargetModule, AdapterTensor>();
  const loaded = new Map<string, AdapterTensor>();
  const trained = new Map<TargetModule, TrainedTokens>();
  for (const [key, raw] of await readHeader(WEIGHTS, read, bytes)) {
    // before it meets expressions and sentences
    if (key.length > MAX_KEY) throw broken(`${WEIGHTS} has a name of ${key.length} characters`, { path: WEIGHTS });
    const { role, path } = parseKey(key);
    const target = targets.get(moduleName(path));
    if (!target) throw otherBase(`${name} changes ${path}, which this model does not have`, { tensor: key });
    const type = DENSE[raw.dtype];
    if (!type) throw broken(`${key} is stored as ${raw.dtype}`, { tensor: key, dtype: raw.dtype });
    if (role === 'tokens') {
      trained.set(target, { target, indices: checkTokens(config, target, path, { type, raw }), values: { type, raw } });
      continue;
    }
    if (role === 'whole' || role === 'base') {
      checkWhole(target, path, { type, raw });
      const own = role === 'whole' && config.isSaved(path);
      if (own && saved.has(target)) throw broken(`${path} has two tensors`, { tensor: key });
      if (own) saved.set(target, { type, raw });
      else loaded.set(target.tensor, { type, raw });
      continue;
    }
    const group = groups.get(target) ?? new Map<Role, AdapterTensor>();
    groups.set(target, group);
    paths.set(target, path);
    if (group.has(role)) throw broken(`${path} has two tensors for ${role}`, { tensor: key });
    group.set(role, { type, raw });
  }
  const modules: AdapterModule[] = [];
  const biases: Adapter['biases'][number][] = [];
  for (const [target, group] of groups) {
    const path = paths.get(target)!;
    const replaced = group.get('bias');
    group.delete('bias');
    if (replaced) biases.push({ target, values: checkReplaced(config, target, path, replaced) });
    if (saved.has(target) && group.size > 0)
      throw broken(`${path} has a LoRA and is in modules_to_save`, { module: path });
    if (group.size > 0) modules.push(checkModule(config, target, path, group));
  }
  const whole = wholeTensors(targets, saved, loaded, config.tying);
  // a tied head is the same parameter: its rows are trained with the embedding's
  const tokens = [...targets.values()].flatMap((target) => {
    const own = trained.get(target) ?? [...trained.values()].find((other) => other.target.tensor === target.tensor);
    if (own) refuseCapped(target, target.module);
    return own ? [{ ...own, target }] : [];
  });
  if (modules.length + whole.size + tokens.length === 0)
    throw broken(`${name} changes no module: ${WEIGHTS} has no lora_A`, { path: WEIGHTS });
  const finite = (bytes: Uint8Array, { type, raw }: AdapterTensor) => {
    const values = denseValues(bytes, type);
    if (values.every(Number.isFinite)) return values;
    throw broken(`${name} holds values that are not finite`, { path: raw.path });
  };
  return {
    name,
    dora: config.dora,
    modules,
    biases,
    whole,
    tokens,
    bytes,
    async read(tensor) {
      const { path, start, end } = tensor.raw;
      return finite(await read(path, start, end), tensor);
    },
    async slice(tensor, row0, rows) {
      const { path, start, end, shape } = tensor.raw;
      const rowBytes = (end - start) / shape[0];
      const bytes = await read(path, start + row0 * rowBytes, start + (row0 + rows) * rowBytes);
      const data = bytes.byteOffset % 4 ? bytes.slice() : bytes;
      finite(data, tensor);
      return { row0, rows, cols: shape[1], type: 'dense', dense: tensor.type, data };
    },
  };
}

/**
 * What each place computes with. A tensor of modules_to_save is that module's alone. One that was loaded into the model
 * is the embedding's and a tied head's alike, for they are one parameter.
 * @param tying ensure_weight_tying: what was saved for one of them is the other's, too
 */
function wholeTensors(
  targets: ReadonlyMap<string, TargetModule>,
  saved: ReadonlyMap<TargetModule, AdapterTensor>,
  loaded: ReadonlyMap<string, AdapterTensor>,
  tying: boolean,
): Map<TargetModule, Whole> {
  const shared = new Map(tying ? [...saved].map(([{ tensor }, values]) => [tensor, values]) : []);
  const whole = new Map<TargetModule, Whole>();
  for (const target of targets.values()) {
    const own = saved.get(target) ?? shared.get(target.tensor);
    const values = own ?? loaded.get(target.tensor);
    if (values) whole.set(target, { values, saved: own !== undefined });
  }
  return whole;
}

async function readConfig(name: string, read: ReadBytes, size: FileSize): Promise<JsonObject> {
  const bytes = await readSmall(CONFIG, read, size);
  if (bytes === null) {
    const advice = 'Name the folder that holds it: PEFT saves adapters that have a name in a folder of that name.';
    throw new NibbleError('invalid-option', `${name} is no adapter: it has no ${CONFIG}. ${advice}`, { path: CONFIG });
  }
  return parseObject(bytes, CONFIG);
}

type Role = 'A' | 'B' | 'B.bias' | 'embedding A' | 'embedding B' | 'magnitude' | 'bias' | 'base' | 'whole' | 'tokens';

const ROLES: readonly [RegExp, Role][] = [
  // The adapter's name is left out by save_pretrained; some tools keep `default`.
  [/\.lora_A(?:\.default)?\.weight$/, 'A'],
  [/\.lora_B(?:\.default)?\.weight$/, 'B'],
  [/\.lora_B(?:\.default)?\.bias$/, 'B.bias'],
  [/\.lora_embedding_A(?:\.default)?$/, 'embedding A'],
  [/\.lora_embedding_B(?:\.default)?$/, 'embedding B'],
  [/\.lora_magnitude_vector(?:\.default)?(?:\.weight)?$/, 'magnitude'],
  [/(?:\.base_layer|\.modules_to_save(?:\.default)?)?\.bias$/, 'bias'],
  [/\.token_adapter\.trainable_tokens_delta(?:\.default)?$/, 'tokens'],
  // of the embedding and the head, where they are targets or the vocabulary grew
  [/\.base_layer\.weight$/, 'base'],
  // some tools keep the wrapper's name
  [/(?:\.modules_to_save(?:\.default)?)?\.weight$/, 'whole'],
];

/** @returns the module's path within the base model, as PEFT's patterns see it */
function parseKey(key: string): { role: Role; path: string } {
  for (const [end, role] of ROLES) {
    if (end.test(key)) return { role, path: key.replace(end, '').replace(/^base_model\.model\./, '') };
  }
  throw unsupported(`The adapter holds ${key}, which is no part of a LoRA`, 'Merge it into its base with PEFT first.', {
    tensor: key,
  });
}

function checkShape(path: string, what: string, { raw }: AdapterTensor, expected: readonly number[]): void {
  if (raw.shape.length === expected.length && raw.shape.every((size, i) => size === expected[i])) return;
  throw otherBase(`${what} of ${path} has the shape [${raw.shape}] where this model takes [${expected}]`, {
    module: path,
    shape: raw.shape,
    expected,
  });
}

/** A table is [vocab, width] in the file, a norm's weight a vector. */
function checkWhole({ kind, rows, cols }: TargetModule, path: string, values: AdapterTensor): void {
  const expected = kind === 'norm' ? [cols] : kind === 'embedding' ? [cols, rows] : [rows, cols];
  const { shape } = values.raw;
  if (
    /(embed_tokens|lm_head)$/.test(path) &&
    shape.length === 2 &&
    shape[1] === expected[1] &&
    shape[0] !== expected[0]
  ) {
    throw new NibbleError(
      'invalid-option',
      `The adapter has ${shape[0]} tokens in ${path} and this model ${expected[0]}: its vocabulary was resized. Load the base that it was trained on, resized too, or merge the two with PEFT and load the result.`,
      { module: path, shape, expected },
    );
  }
  checkShape(path, 'The weight', values, expected);
}

function refuseCapped({ capped }: TargetModule, path: string): void {
  if (!capped) return;
  const text = `The adapter changes ${path}, whose output is soft-capped`;
  throw unsupported(text, 'Merge it into its base first.', { module: path });
}

function checkTokens(
  config: Config,
  { kind, rows, cols }: TargetModule,
  path: string,
  values: AdapterTensor,
): number[] {
  const [vocab, width] = kind === 'embedding' ? [cols, rows] : [rows, cols];
  const indices = config.tokens(path);
  const good = (index: unknown) => Number.isInteger(index) && (index as number) >= 0 && (index as number) < vocab;
  if (!Array.isArray(indices) || !indices.every(good) || new Set(indices).size !== indices.length) {
    throw badField('trainable_token_indices', indices, `a list of different ids below ${vocab}, for ${path}`);
  }
  checkShape(path, 'What was trained of its tokens', values, [indices.length, width]);
  return indices as number[];
}

function checkReplaced(config: Config, target: TargetModule, path: string, values: AdapterTensor): AdapterTensor {
  if (config.bias === 'none' && !config.isSaved(path))
    throw broken(`${path} has a bias, and ${CONFIG} says bias is none`, { module: path });
  if (!target.hasBias) throw otherBase(`${path} has a bias in the adapter and none in this model`, { module: path });
  checkShape(path, 'The bias', values, [target.rows]);
  return values;
}

function checkModule(
  config: Config,
  target: TargetModule,
  path: string,
  group: Map<Role, AdapterTensor>,
): AdapterModule {
  if (target.kind === 'norm') throw broken(`${path} is a norm, which has no LoRA`, { module: path });
  const embedding = target.kind === 'embedding';
  const names = embedding ? (['embedding A', 'embedding B'] as const) : (['A', 'B'] as const);
  const [a, b] = names.map((role) => group.get(role));
  if (!a || !b) {
    throw broken(`${path} has ${[...group.keys()].join(', ')} but no ${a ? names[1] : names[0]}`, { module: path });
  }
  const stray = [...group.keys()].find((role) => !([...names, 'B.bias', 'magnitude'] as Role[]).includes(role));
  if (stray) throw broken(`${path} is no embedding or is one, and has ${stray}`, { module: path });
  refuseCapped(target, path);
  const rank = config.rank(path);
  if (a.raw.shape[0] !== rank) {
    throw broken(`${path} has rank ${a.raw.shape[0]} where ${CONFIG} says ${rank}`, {
      module: path,
      rank: a.raw.shape[0] ?? 0,
      expected: rank,
    });
  }
  checkShape(path, 'A', a, [rank, target.cols]);
  checkShape(path, 'B', b, [target.rows, rank]);
  const bias = group.get('B.bias') ?? null;
  const magnitude = group.get('magnitude') ?? null;
  if (embedding && (config.dora || config.loraBias)) {
    const what = config.dora ? 'use_dora' : 'lora_bias';
    throw unsupported(`${path} is an embedding with ${what}`, 'Merge it with PEFT first.', { module: path });
  }
  if (!magnitude === config.dora) {
    throw broken(`${path} has ${magnitude ? 'a' : 'no'} magnitude vector, and use_dora is ${config.dora}`, {
      module: path,
    });
  }
  if (!bias === config.loraBias) {
    throw broken(`${path} has ${bias ? 'a' : 'no'} lora_B.bias, and lora_bias is ${config.loraBias}`, { module: path });
  }
  if (bias) checkShape(path, 'lora_B.bias', bias, [target.rows]);
  if (magnitude) checkShape(path, 'The magnitude vector', magnitude, [target.rows]);
  return { target, rank, scaling: config.scaling(path, rank), a, b, bias, magnitude };
}
