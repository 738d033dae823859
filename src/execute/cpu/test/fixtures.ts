/** The tiny models of reference/fixtures: a Llama in every format, and every family. */
import type { WeightsOption } from '../../../memory/formats';

export type Fixture = readonly [path: string, weights: WeightsOption];

/** Llamas of even and odd sizes, by reference/fixtures_llama.py. */
export const FORMAT_FIXTURES: readonly Fixture[] = [
  ['tiny-llama/bf16', 'f32'],
  ['tiny-llama/nf4', 'keep'],
  ['tiny-llama/nf4-dq', 'keep'],
  ['tiny-llama/nf4-mixed', 'keep'],
  ['tiny-llama/sharded', 'keep'],
  ['tiny-llama/gguf/tiny-llama.gguf', 'keep'],
  ['tiny-llama-odd/bf16', 'f32'],
  ['tiny-llama-odd/nf4', 'keep'],
  ['tiny-llama-128/bf16', 'f32'],
  ['tiny-llama-128/nf4', 'keep'],
];

const OTHER_FORMATS = ['nf4-blocks-of-128', 'nf4-stored-as-bf16', 'fp4', 'fp4-dq', 'int8'].map(
  (format): Fixture => [`families/llama/${format}`, 'keep'],
);

/** Of which both scripts make one. */
const COMMON = [
  'mistral',
  'qwen2',
  'qwen3',
  'gemma',
  'gemma2',
  'gemma3',
  'phi3',
  'smollm3',
  'olmo2',
  'granite',
] as const;
const FAMILIES = ['llama', ...COMMON, 'phi4-mini'];

/** By reference/fixtures_gguf.py: every family and every type of block. */
export const GGUF_FIXTURES: readonly Fixture[] = ['llama-linear', 'llama3', ...COMMON].map(
  (family): Fixture => [`tiny-gguf/${family}/model.gguf`, 'keep'],
);

const MULTIMODAL: Fixture = ['families/gemma3-multimodal/bf16', 'f32'];

/**
 * By reference/fixtures_families.py, each as bf16, NF4 and double-quantised NF4: for the CPU, and for bench/check.ts.
 */
export const FAMILY_FIXTURES: readonly Fixture[] = [
  ...FAMILIES.flatMap((name): Fixture[] => [
    [`families/${name}/bf16`, 'f32'],
    [`families/${name}/nf4`, 'keep'],
    [`families/${name}/nf4-dq`, 'keep'],
  ]),
  ...OTHER_FORMATS,
  MULTIMODAL,
];

/** One of each family: a software GPU takes seconds to compile what one of them needs. */
export const FAMILY_SAMPLE: readonly Fixture[] = [
  ...FAMILIES.map((name): Fixture => [`families/${name}/nf4-dq`, 'keep']),
  ...OTHER_FORMATS,
  MULTIMODAL,
];
