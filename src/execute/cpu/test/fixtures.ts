/**
 * The tiny models of reference/fixtures: a Llama in every format, and every family. What a script makes is taken from
 * its folder, so that a new family's fixture is tested by being there.
 */
import { readdirSync, readFileSync } from 'node:fs';
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

const FIXTURES = 'reference/fixtures';
const folders = (path: string): string[] =>
  readdirSync(`${FIXTURES}/${path}`, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [`${path}/${entry.name}`] : [],
  );

/** By reference/fixtures_gguf.py: every family and every type of block. */
export const GGUF_FIXTURES: readonly Fixture[] = folders('tiny-gguf').map((path) => [`${path}/model.gguf`, 'keep']);

/**
 * By reference/fixtures_families.py, each as bf16, NF4 and double-quantised NF4: for the CPU, and for bench/check.ts.
 */
export const FAMILY_FIXTURES: readonly Fixture[] = folders('families')
  .flatMap(folders)
  .map((path) => [path, path.endsWith('/bf16') ? 'f32' : 'keep']);

/** One of each family: a software GPU takes seconds to compile what one of them needs. */
export const FAMILY_SAMPLE: readonly Fixture[] = FAMILY_FIXTURES.filter(
  ([path]) => !/\/(bf16|nf4)$/.test(path) || path.includes('multimodal'),
);

/** The model types that these fixtures are of. */
export const modelTypes = (fixtures: readonly Fixture[]): string[] =>
  fixtures.map(([path]) => {
    const folder = path.replace(/\/model\.gguf$/, '');
    return JSON.parse(readFileSync(`${FIXTURES}/${folder}/config.json`, 'utf8')).model_type;
  });
