/** For tests: the adapters of reference/fixtures/lora. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Expected } from '../../execute/cpu/test/models';
import { type ActiveAdapters, type BaseWeights, outputShape, planAdapters } from '../../memory/adapted';
import { parseSpec } from '../../model/parse';
import type { ModelSpec } from '../../model/spec';
import type { Step } from '../../model/steps';
import { createMemorySource } from '../../sources/memory-source';
import { combineAdapters } from '../combine';
import { adaptableModules } from '../modules';
import { type Adapter, openAdapter } from '../peft';

const FOLDER = 'reference/fixtures/lora';

/** A model of tiny-llama's sizes: the adapters fit it. */
export const specLikeTiny = (more: object): ModelSpec =>
  parseSpec({
    model_type: 'llama',
    hidden_size: 96,
    intermediate_size: 160,
    num_hidden_layers: 3,
    num_attention_heads: 6,
    num_key_value_heads: 2,
    head_dim: 32,
    vocab_size: 263,
    max_position_embeddings: 256,
    ...more,
  });

/** The files of an adapter. */
export const adapterFiles = (name: string): Map<string, Uint8Array> =>
  new Map(
    readdirSync(`${FOLDER}/${name}`).map((file) => [file, new Uint8Array(readFileSync(`${FOLDER}/${name}/${file}`))]),
  );

export function openFiles(name: string, steps: readonly Step[], files: Map<string, Uint8Array>): Promise<Adapter> {
  const source = createMemorySource(name, files);
  return openAdapter(
    name,
    adaptableModules(steps, specLikeTiny({})),
    (path, start, end) => source.read(path, start, end),
    (path) => source.size(path),
  );
}

/** The adapters `names`, together. */
export async function active(steps: readonly Step[], names: readonly string[]): Promise<ActiveAdapters> {
  const adapters = await Promise.all(names.map((name) => openFiles(name, steps, adapterFiles(name))));
  return combineAdapters(
    steps,
    adapters.map((adapter) => ({ adapter, scale: 1 })),
  );
}

/** What every buffer of these adapters would hold on the CPU, over weights whose norms and biases are all 1. */
export async function contents(
  steps: readonly Step[],
  adapters: ActiveAdapters,
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const ones = async (step: Step) => new Float32Array(outputShape(step)[0]).fill(1);
  const rows: BaseWeights['rows'] = async (step, _, { length }) =>
    new Float32Array(length * (step.op === 'embed' ? step.width : outputShape(step)[1]));
  const base: BaseWeights = { rowNorms: ones, biases: ones, rows };
  const all = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const step of planAdapters(steps, adapters.steps, 1e9, 'cpu').values())
    for (const [name, bytes] of await adapters.read(step, 'cpu', base)) all.set(name, bytes);
  return all;
}

export interface ExpectedAdapted extends Expected {
  model: string;
  variant: string;
  adapters: string[];
}

/** Every expected.json: what PEFT makes of its adapters on their base. */
export const EXPECTED = readdirSync(`${FOLDER}/expected`)
  .sort()
  .map((file) => JSON.parse(readFileSync(`${FOLDER}/expected/${file}`, 'utf8')) as ExpectedAdapted);

/** The base's folder in reference/fixtures, and the option that keeps its weights as they are. */
export const baseOf = ({ model, variant }: Pick<ExpectedAdapted, 'model' | 'variant'>) => ({
  path: model === 'tiny-llama' ? `${model}/${variant}` : `lora/${model}`,
  weights: variant === 'bf16' ? ('f32' as const) : ('keep' as const),
});
