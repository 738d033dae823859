/** One small model in every number type that a checkpoint may have, and its three kinds of load. */
import { expect } from 'vitest';
import { denseBytes } from '../../formats/half';
import { quantizeInt8 } from '../../formats/quantize-int8';
import { type NewTensor, writeSafetensors } from '../../formats/safetensors';
import { tensorTable } from '../../model/decoder';
import { parseSpec } from '../../model/parse';
import { createRandomSource } from '../../node/random-source';
import type { EngineOptions } from '../../protocol';
import { createMemorySource } from '../../sources/memory-source';
import type { ModelStore } from '../../store/chunk-store';
import { createSession } from '../session';

const CONFIG = {
  model_type: 'llama',
  architectures: ['LlamaForCausalLM'],
  vocab_size: 256,
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
};

export const DTYPES = ['F32', 'F16', 'BF16', 'I8', 'NF4'] as const;
export const WEIGHTS: NonNullable<EngineOptions['weights']>[] = ['keep', 'q8', 'f32'];

const WRITTEN = { F32: 'f32', F16: 'f16', BF16: 'bf16' } as const;

/** The files of the model in this type, norms in F32. */
export async function filesOf(dtype: (typeof DTYPES)[number]): Promise<Map<string, Uint8Array>> {
  const random = createRandomSource(CONFIG);
  const whole = async (path: string) => random.read(path, 0, (await random.size(path))!);
  const config: [string, Uint8Array] = ['config.json', await whole('config.json')];
  if (dtype === 'NF4') return new Map([config, ['model.safetensors', await whole('model.safetensors')]]);
  let seed = 7;
  const value = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 31 - 1;
  };
  const tensors = tensorTable(parseSpec(CONFIG)).flatMap(({ name, rows, cols, kind }): NewTensor[] => {
    const one = (data: Uint8Array, type: NewTensor['dtype'], shape: number[], as = name): NewTensor => ({
      name: as,
      dtype: type,
      shape,
      data,
    });
    if (kind === 'vector') return [one(denseBytes(new Float32Array(cols).fill(1), 'f32'), 'F32', [cols])];
    const values = Float32Array.from({ length: rows * cols }, () => (value() * 2) / Math.sqrt(cols));
    if (dtype !== 'I8') return [one(denseBytes(values, WRITTEN[dtype]), dtype, [rows, cols])];
    const { codes, scales } = quantizeInt8(values, cols);
    const scb = denseBytes(
      scales.map((scale) => scale * 127),
      'f32',
    );
    return [
      one(new Uint8Array(codes.buffer), 'I8', [rows, cols]),
      one(scb, 'F32', [rows], name.replace(/weight$/, 'SCB')),
    ];
  });
  const parts = writeSafetensors(tensors);
  const file = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return new Map([config, ['model.safetensors', file]]);
}

/** Loads without a store, for the first time with one, and later from it alone: the answers must be the same. */
export async function loadThreeTimes(
  files: ReadonlyMap<string, Uint8Array>,
  store: ModelStore,
  name: string,
  weights: EngineOptions['weights'],
  gguf?: string,
): Promise<void> {
  const answer = async (from: ReadonlyMap<string, Uint8Array>, into: ModelStore | null) => {
    const session = createSession({
      gpu: null,
      openStore: async () => ({ store: into, reason: '' }),
      openSource: () => createMemorySource(name, from, gguf),
    });
    await session.load({ id: 1, source: { kind: 'http', base: 'http://unused/' }, options: { weights } }, QUIET);
    const input = { ids: [1, 5, 9, 100] };
    const options = { maxNewTokens: 6, temperature: 0, ignoreEos: true };
    return (await session.generate({ id: 2, input, options, made: [] }, QUIET)).ids;
  };
  const ids = await answer(files, null);
  expect(ids).toHaveLength(6);
  expect(await answer(files, store)).toEqual(ids);
  expect(await answer(new Map(), store)).toEqual(ids);
}

const QUIET = { postMessage() {} };
