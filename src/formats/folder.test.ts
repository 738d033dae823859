/** Folders as people have them, which transformers loads: each is the same model, or its error says what helps. */
import { describe, expect, it } from 'vitest';
import { checkShapes } from '../checkpoint/load-weights';
import { openSafetensorsFolder } from './folder';
import { parseJson } from './json';
import { plainName } from './names';
import { type Files, fixture, inMemory, loadFolder, openFiles, readValues } from './test/files';
import { type AnyTensor, renamed, rewritten, sharded, tensorsOf } from './test/rewrite';

const MODEL = loadFolder(fixture('lora/tiny-qwen2-lora'));
const COUNT = tensorsOf(MODEL['model.safetensors']).length;
const NORM = 'model.norm.weight';
const EMBEDDING = 'model.embed_tokens.weight';

const beside =
  (...more: AnyTensor[]) =>
  (tensors: AnyTensor[]) => [...tensors, ...more];
const buffer = (name: string, dtype: string, bytes: number, shape: number[]): AnyTensor => ({
  name,
  dtype,
  shape,
  data: new Uint8Array(bytes),
});
/** A bf16 tensor as F64. */
const wide = (name: string) => (tensors: AnyTensor[]) =>
  tensors.map((tensor) => {
    if (tensor.name !== name) return tensor;
    const bits = new Uint32Array(new Uint16Array(tensor.data.buffer)).map((half) => half << 16);
    const values = Float64Array.from(new Float32Array(bits.buffer));
    return { ...tensor, dtype: 'F64', data: new Uint8Array(values.buffer) };
  });

async function expectSame(files: Files) {
  const [model, altered] = [await openFiles(MODEL), await openFiles(files)];
  expect([...altered.records.keys()]).toEqual(expect.arrayContaining([...model.records.keys()]));
  for (const [name, { info }] of model.records) {
    expect(altered.records.get(name)!.info).toMatchObject({ name, rows: info.rows, cols: info.cols });
    const [right, seen] = [readValues(MODEL, model, name), readValues(files, altered, name)];
    expect(Buffer.from(seen.buffer).equals(Buffer.from(right.buffer)), name).toBe(true);
  }
  return altered;
}

describe('the same model', () => {
  it.each([
    ['saved from AutoModel', renamed(/^model\./, '')],
    ['of a newer multimodal class', renamed(/^model\./, 'model.language_model.')],
    ['of an older multimodal class', renamed(/^model\./, 'language_model.model.')],
    ['in a wrapper', renamed(/^/, 'module.')],
    ['whose prefix stands twice', renamed(/^/, 'model.')],
    ['with a norm of 64 bits', wide(NORM)],
    ['with a matrix of 64 bits', wide('model.layers.0.mlp.up_proj.weight')],
    [
      'with masks, position ids and counts',
      beside(
        buffer('model.layers.0.attn.bias', 'BOOL', 16, [1, 1, 4, 4]),
        buffer('model.embeddings.position_ids', 'I64', 32, [1, 4]),
        buffer('model.layers.0.rotary_emb.inv_freq', 'F64', 32, [4]),
        buffer('model.layers.1.extra.weight', 'I8', 4, [2, 2]),
        buffer('steps', 'U64', 8, []),
        buffer('spectrum', 'C64', 16, [2]),
      ),
    ],
  ])('%s', async (_, change) => {
    await expectSame(rewritten(MODEL, change));
  });

  it('whose index names a tensor that no shard has', async () => {
    const files = sharded(MODEL, [9, COUNT - 9], (map) => ({ ...map, 'model.rotary_emb.inv_freq': map[NORM] }));
    await expectSame(files);
  });

  it('whose index lacks tensors that a shard has, or says the wrong shard', async () => {
    const files = sharded(MODEL, [9, COUNT - 9], ({ [NORM]: place, ...map }) => {
      const [first, second] = [...new Set(Object.values(map))];
      return { ...map, [EMBEDDING]: map[EMBEDDING] === first ? second : first, other: place };
    });
    await expectSame(files);
  });

  it('of a tensor in two shards takes the one that the index says', async () => {
    const files = sharded(MODEL, [COUNT, 0], (map) => map);
    const again = rewritten(MODEL, (all) => all.slice(0, 1).map((one) => ({ ...one, data: one.data.map(() => 0) })));
    const [path] = Object.keys(files).filter((name) => name.includes('00002-of'));
    files[path] = again['model.safetensors'];
    files['model.safetensors.index.json'] = Buffer.from(
      JSON.stringify({
        weight_map: {
          ...JSON.parse(Buffer.from(files['model.safetensors.index.json']).toString()).weight_map,
          x: path,
        },
      }),
    );
    await expectSame(files);
  });

  it('beside other weights: model.safetensors goes before shards, and both before what is consolidated', async () => {
    const shards = sharded(MODEL, [9, COUNT - 9], (map) => map);
    const junk = {
      'consolidated.safetensors': new Uint8Array(9),
      'pytorch_model.bin': new Uint8Array(9),
    };
    await expectSame({ ...shards, ...junk });
    const broken = Object.fromEntries(Object.keys(shards).map((name) => [name, new Uint8Array(3)]));
    const both = { ...broken, ...MODEL, ...junk };
    const { read, size } = inMemory(both);
    const layout = await openSafetensorsFolder(read, size);
    expect(layout.files).toEqual([{ path: 'model.safetensors', bytes: MODEL['model.safetensors'].length }]);
  });

  it('whose config has numbers as Python writes them', async () => {
    const text = Buffer.from(MODEL['config.json'])
      .toString()
      .replace('{', '{"a":[NaN,-Infinity,{"b":Infinity}],"c":"NaN, Infinity",');
    const files = {
      ...MODEL,
      'config.json': Buffer.from(text),
      'generation_config.json': Buffer.from('{"top_p":NaN,"x":1}'),
    };
    const { config, generationConfig } = await expectSame(files);
    expect(config.a).toEqual(['NaN', -Infinity, { b: Infinity }]);
    expect(config.c).toBe('NaN, Infinity');
    expect(generationConfig).toEqual({ top_p: 'NaN', x: 1 });
  });
});

describe('JSON as Python writes it', () => {
  it.each([
    ['{"a":NaN}', { a: 'NaN' }],
    ['[Infinity, -Infinity,NaN]', [Infinity, -Infinity, 'NaN']],
    ['{"a \\" NaN":"-Infinity","b":NaN}', { 'a " NaN': '-Infinity', b: 'NaN' }],
    ['{"\\\\":NaN}', { '\\': 'NaN' }],
  ])('%s', (text, right) => expect(parseJson(text)).toEqual(right));

  it.each([
    '{"a":nan}',
    '{"a":NaNs}',
    '{"a":+Infinity}',
    '{"a":--Infinity}',
    '{NaN:1}',
    '{"a":"NaN}',
    '{a:NaN}',
    'xNaN',
  ])('not %s', (text) => expect(() => parseJson(text)).toThrow(SyntaxError));

  it('takes long texts, and many strings, without end, in one pass', () => {
    const long = `{"a":NaN,"b":"${'\\"x'.repeat(300_000)}"}`;
    expect((parseJson(long) as { b: string }).b.length).toBe(600_000);
    expect(() => parseJson(`${'"\\"NaN'.repeat(200_000)}`)).toThrow(SyntaxError);
  });
});

describe('what is missing is named, with what helps:', () => {
  const { 'model.safetensors': weights, ...none } = MODEL;
  const { 'config.json': _, ...noConfig } = MODEL;
  const pickle = /Python pickle, which may run code.*save_pretrained\(OUT\) writes model\.safetensors/;
  const file = (...names: string[]) => Object.fromEntries(names.map((name) => [name, new Uint8Array(9)]));
  const adapter = { 'adapter_config.json': Buffer.from('{"base_model_name_or_path":"org/base"}') };
  it.each([
    ['pytorch_model.bin', { ...none, ...file('pytorch_model.bin') }, pickle],
    [
      'pytorch_model.bin in shards',
      { ...none, ...file('pytorch_model.bin.index.json', 'pytorch_model-00001-of-00002.bin') },
      pickle,
    ],
    ['a .pt', { ...none, ...file('weights.pt') }, /weights\.pt: a Python pickle/],
    [
      'consolidated.00.pth',
      { ...file('consolidated.00.pth', 'params.json') },
      /no config\.json.*consolidated\.00\.pth/,
    ],
    ['a .ckpt', { ...none, ...file('last.ckpt') }, /last\.ckpt: a Python pickle/],
    ['TensorFlow', { ...none, ...file('tf_model.h5') }, /tf_model\.h5: TensorFlow/],
    ['Flax', { ...none, ...file('flax_model.msgpack') }, /flax_model\.msgpack: Flax/],
    ['ONNX', { ...none, ...file('onnx/model.onnx') }, /model\.onnx: ONNX/],
    [
      'Mistral’s own',
      { ...file('consolidated.safetensors', 'params.json') },
      /consolidated\.safetensors: Mistral.*config\.json and model\.safetensors/,
    ],
    [
      'shards without an index',
      { ...none, ...file('model-00001-of-00002.safetensors') },
      /no model\.safetensors\.index\.json says so\. Get model\.safetensors\.index\.json, too/,
    ],
    [
      'an adapter',
      { ...adapter, ...file('adapter_model.safetensors') },
      /LoRA adapter and no model.*load its base model, org\/base, and give this as `lora`/,
    ],
    ['an adapter with a config', { ...none, ...adapter }, /LoRA adapter and no model/],
    ['several .gguf', { ...none, ...file('a.gguf', 'b.gguf') }, /there is a\.gguf, b\.gguf\. Name one/],
    ['no config', noConfig, /no config\.json, which must lie beside model\.safetensors/],
    ['nothing', {}, /no config\.json/],
    ['no weights', none, /neither model\.safetensors nor model\.safetensors\.index\.json/],
  ] as [string, Files, RegExp][])('%s', async (name, files, message) => {
    const { read, size } = inMemory(files);
    const names = async () => Object.keys(files);
    await expect(openSafetensorsFolder(read, size, read, names)).rejects.toThrow(message);
    // a server does not list: the usual names are tried
    if (/^(pytorch|an adapter|TensorFlow|Flax|no weights|nothing)/.test(name))
      await expect(openSafetensorsFolder(read, size)).rejects.toThrow(message);
    expect(weights.length).toBeGreaterThan(0);
  });

  it.each([
    [
      'a weight of whole numbers',
      renamed(/mlp\.up_proj\.weight$/, 'mlp.up_proj.other'),
      'model.layers.0.mlp.up_proj.weight',
      /up_proj\.weight is stored as I64/,
    ],
  ])('%s', async (_, change, name, message) => {
    const layout = await openFiles(rewritten(MODEL, (all) => beside(buffer(name, 'I64', 16, [2]))(change(all))));
    const needed = [{ name, rows: 2, cols: 1, kind: 'matrix' as const }];
    const tensors = new Map([...layout.records].map(([key, { info }]) => [key, info]));
    expect(() => checkShapes({ tensors, unread: layout.unread }, needed)).toThrow(message);
    expect(() => checkShapes({ tensors }, [{ ...needed[0], name: 'lm_head.weight' }])).toThrow(
      /without its head.*AutoModelForCausalLM/,
    );
  });
});

it.each([
  ['layers.3.mlp.up_proj.weight', 'model.layers.3.mlp.up_proj.weight'],
  ['model.language_model.norm.weight', 'model.norm.weight'],
  ['language_model.lm_head.weight', 'lm_head.weight'],
  ['model.vision_tower.layers.1.mlp.up_proj.weight', 'model.vision_tower.layers.1.mlp.up_proj.weight'],
  ['vision_tower.norm.weight', 'vision_tower.norm.weight'],
  ['lm_head.weight', 'lm_head.weight'],
])('%s is %s', (name, plain) => expect(plainName(name)).toBe(plain));

describe('a small file that is too large is refused, and no byte of it is read:', () => {
  const INDEX = 'model.safetensors.index.json';
  it.each([
    ['config.json', 16e6],
    ['generation_config.json', 16e6],
    ['tokenizer_config.json', 16e6],
    ['tokenizer.json', 64e6],
    ['chat_template.jinja', 1e6],
    [INDEX, 16e6],
  ])('%s', async (path, limit) => {
    const { 'model.safetensors': weights, ...small } = MODEL;
    const files = path === INDEX ? small : { ...small, 'model.safetensors': weights };
    const { read, size, log } = inMemory(files);
    const said = async (name: string) => (name === path ? limit + 1 : size(name));
    await expect(openSafetensorsFolder(read, said)).rejects.toMatchObject({
      code: 'corrupt-checkpoint',
      details: { path, bytes: limit + 1, limit },
    });
    expect(log.map((range) => range.path)).not.toContain(path);
  });

  it('adapter_config.json, in the place of a model', async () => {
    const read = async () => expect.unreachable();
    const size = async (path: string) => (path === 'adapter_config.json' ? 17e6 : null);
    await expect(openSafetensorsFolder(read, size)).rejects.toMatchObject({ details: { limit: 16e6 } });
  });
});
