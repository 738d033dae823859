/** What a folder has where config.json or model.safetensors is missing: said by name, with what helps. */
import { cut, NibbleError } from '../errors';
import { atMost } from './at-most';
import { corrupt, parseObject } from './json';
import type { FileNames, FileSize, ReadBytes } from './layout';
import { AT_ONCE, INDEX, SINGLE } from './safetensors';
import { readSmall } from './small-files';

const ADAPTER = 'adapter_config.json';
const RESAVE = `In Python, AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(OUT) writes ${SINGLE}.`;
const HF = 'Choose the version of it in Hugging Face’s layout, with config.json and model.safetensors.';

/** Weights that are not read: the usual names, which of them a name is, what they are, and what helps. */
const OTHERS: readonly [names: string[], pattern: RegExp, what: string, advice: string][] = [
  [
    ['pytorch_model.bin', 'pytorch_model.bin.index.json', 'consolidated.00.pth', 'model.pt', 'model.ckpt'],
    /\.(bin|bin\.index\.json|pth?|ckpt|pkl)$/,
    'a Python pickle, which may run code and is never read',
    RESAVE,
  ],
  [['consolidated.safetensors'], /^consolidated.*\.safetensors$/, 'Mistral’s own layout', HF],
  [['tf_model.h5'], /\.h5$/, 'TensorFlow’s', RESAVE],
  [['flax_model.msgpack'], /\.msgpack$/, 'Flax’s', RESAVE],
  [['model.onnx', 'onnx/model.onnx'], /\.onnx$/, 'ONNX, which Nibble does not run', HF],
  [[INDEX], /\.safetensors$/, `no ${INDEX} says so`, `Get ${INDEX}, too.`],
];

/** @param path config.json or model.safetensors, which is not there */
export async function explainMissing(
  path: string,
  read: ReadBytes,
  size: FileSize,
  names?: FileNames,
): Promise<NibbleError> {
  const usual = [ADAPTER, ...OTHERS.flatMap(([some]) => some)];
  const there = names ? await names() : (await atMost(AT_ONCE, usual, size)).flatMap((n, i) => (n ? [usual[i]] : []));
  const adapter = there.includes(ADAPTER) && (await readSmall(ADAPTER, read, size));
  const base = adapter && parseObject(adapter, ADAPTER);
  if (base) return adapterAsModel(base.base_model_name_or_path);
  const ggufs = there.filter((name) => name.endsWith('.gguf'));
  if (ggufs.length > 0) {
    const text = `There is no ${path}, but there is ${ggufs
      .slice(0, 5)
      .map((name) => cut(name))
      .join(', ')}. Name one of them as the model.`;
    return new NibbleError('invalid-option', text, { missing: path, files: ggufs.slice(0, 20) });
  }
  for (const [, pattern, what, advice] of OTHERS) {
    const found = there.find(
      (name) => pattern.test(name) && name !== SINGLE && !/^(adapter|training|optim)/.test(name),
    );
    if (!found) continue;
    const text = `There is no ${path}. The weights are in ${cut(found)}: ${what}. ${advice}`;
    const code = found.endsWith('.safetensors') && advice !== HF ? 'corrupt-checkpoint' : 'unsupported-architecture';
    return new NibbleError(code, text, { missing: path, found });
  }
  const beside = there.includes(SINGLE) ? `, which must lie beside ${SINGLE}` : '';
  if (path !== SINGLE || beside) return corrupt(`There is no ${path}${beside}`, { path });
  return corrupt(`There is neither ${SINGLE} nor ${INDEX}`, { path });
}

/** @param base what adapter_config.json says of it */
export function adapterAsModel(base: unknown): NibbleError {
  const name = typeof base === 'string' && base !== '' && base.length < 200 ? `, ${base},` : '';
  const text = `This is a LoRA adapter and no model (it has ${ADAPTER}): load its base model${name} and give this as \`lora\`.`;
  return new NibbleError('invalid-option', text, { option: 'model', base: name.replace(/, ?/g, '') });
}
