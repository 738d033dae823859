import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { expectedTensors } from './expected-tensors';
import { parseSpec } from './parse';

const FOLDER = 'public/models/smollm2-135m-instruct-nf4';
const config = JSON.parse(readFileSync(`${FOLDER}/config.json`, 'utf8'));
const spec = parseSpec(config);
const EMBEDDING = 'model.embed_tokens.weight';
const SKIPPED = `${config.quantization_config.llm_int8_skip_modules[0]}.weight`;
const stored = (fileBytes: number | null, of = config) => {
  const tensors = expectedTensors(of, spec, fileBytes);
  return [EMBEDDING, SKIPPED, 'model.layers.0.self_attn.q_proj.weight'].map((name) => tensors.get(name)!.stored);
};

it('of a quantised checkpoint the embedding and what was skipped have 16 bits, where nothing tells otherwise', () => {
  expect(stored(null)).toEqual(['bf16', 'bf16', 'nf4']);
  expect(stored(1e9)).toEqual(['bf16', 'bf16', 'nf4']);
});

it('files that have no room for that hold less: those of the default model, a 4-bit embedding and 8-bit modules', () => {
  const manifest: { files: { path: string; bytes: number }[] } = JSON.parse(
    readFileSync(`${FOLDER}/manifest.json`, 'utf8'),
  );
  const weights = manifest.files.filter(({ path }) => path.endsWith('.safetensors'));
  const bytes = weights.reduce((sum, file) => sum + file.bytes, 0);
  expect(stored(bytes)).toEqual(['nf4', 'int8', 'nf4']);
  // files too small for anything: the usual is as good a guess
  expect(stored(1000)).toEqual(['bf16', 'bf16', 'nf4']);
});

it('without quantization_config everything has 16 bits, whatever the files', () => {
  expect(stored(1000, { ...config, quantization_config: undefined })).toEqual(['bf16', 'bf16', 'bf16']);
});
