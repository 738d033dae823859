/** Vectors of texts, as sentence-transformers makes them of the same files. */
import { NibbleError } from '../errors';
import type { PooledRow } from '../execute/pooling';
import { ACTIVATIONS, type DenseLayer, type EmbeddingModules, plainModules } from '../formats/embedding-modules';
import { isBare } from '../model/head';
import { EMBED_OPTIONS } from '../options/reading';
import { checkOptions, refuse } from '../options/spec';
import type { Embeddings, EmbedRequest, Pooling } from '../protocol';
import type { Model } from './model';
import { tokenizerOf } from './prompt';
import { idsOfText, readTexts } from './read-texts';

/** What the executor pools for each way. */
const ROWS: Readonly<Record<Pooling, PooledRow>> = {
  cls: 'first',
  lasttoken: 'last',
  mean: 'sum',
  mean_sqrt_len_tokens: 'sum',
  weightedmean: 'weighted',
  max: 'max',
};

/**
 * @throws invalid-option for a prompt that the model does not have, more dimensions than it has, and texts without
 * tokens; context-overflow; unsupported-architecture and corrupt-checkpoint for files of sentence-transformers that
 * are not understood; out-of-memory, aborted
 */
export async function embed(
  model: Model,
  { texts, options }: Pick<EmbedRequest, 'texts' | 'options'>,
  signal: AbortSignal,
): Promise<Embeddings> {
  const given = checkOptions(EMBED_OPTIONS, options);
  const modules = modulesOf(model);
  const pooling = given.pooling ? [given.pooling as Pooling] : modules.pooling;
  const width = model.graph.spec.width;
  const normalises = given.normalize ?? modules.layers.includes('normalize');
  const dense = modules.layers.filter((layer) => layer !== 'normalize');
  const dimensions = checkWidths(width * pooling.length, dense, given.dimensions ?? modules.dimensions);
  const prompt = promptOf(modules, given.prompt as string | undefined);
  const tokenizer = tokenizerOf(model);
  const encode = (text: string) =>
    idsOfText(model, modules.lowerCase ? text.toLowerCase() : text, { special: true, bos: true, end: true }, signal);
  let from = 0;
  if (prompt && !modules.includePrompt) {
    const alone = await encode(prompt);
    from = alone.length - (tokenizer.isSpecial(alone[alone.length - 1]) ? 1 : 0);
  }
  const ids: number[][] = [];
  for (const text of texts) ids.push(await encode(prompt + text));
  const rows = [...new Set(pooling.map((mode) => ROWS[mode]))];
  const shares = rows.every((row) => row === 'last');
  const most = modules.maxTokens ?? undefined;
  const { found } = await readTexts(model, ids, { most, shares }, async (some) => {
    const all = await model.executor.pool(some, { rows, from }, { signal });
    return all.map((pooled, i) => vectorOf(pooled, some[i].start + some[i].ids.length));
  });
  return { embeddings: found, ids, dimensions, tokens: ids.reduce((sum, { length }) => sum + length, 0) };

  /** What pooled rows of so many tokens become. */
  function vectorOf(pooled: Float32Array, count: number): Float32Array {
    const parts = pooling.map((mode) => {
      const at = rows.indexOf(ROWS[mode]) * width;
      const by = divisorOf(mode, from, count);
      return pooled.subarray(at, at + width).map((value) => value / by);
    });
    return finish(
      Float32Array.from(parts.flatMap((part) => [...part])),
      modules.layers,
      given.normalize !== false,
      normalises,
      dimensions,
    );
  }
}

/** What a pooled row is divided by: of a text whose positions from..count-1 are pooled. */
function divisorOf(mode: Pooling, from: number, count: number): number {
  // of no positions sentence-transformers makes zeros
  const tokens = Math.max(count - from, 1e-9);
  if (mode === 'mean') return tokens;
  if (mode === 'mean_sqrt_len_tokens') return Math.sqrt(tokens);
  return mode === 'weightedmean' ? Math.max((count * (count + 1) - from * (from + 1)) / 2, 1e-9) : 1;
}

/** The modules that count. @throws what is wrong with the model's files */
function modulesOf({ checkpoint }: Model): EmbeddingModules {
  const { modules, config } = checkpoint;
  if (modules?.refusal) throw modules.refusal;
  // as sentence-transformers takes a model that it did not save
  return modules ?? plainModules(isBare(config) ? 'mean' : 'lasttoken');
}

/** @returns how many values a vector has @throws corrupt-checkpoint, invalid-option */
function checkWidths(pooled: number, dense: readonly DenseLayer[], asked: number | null | undefined): number {
  let width = pooled;
  for (const { rows, cols } of dense) {
    if (cols !== width) {
      const message = `A Dense of this model takes ${cols} values, and is given ${width}: its files are of different models, or it wants another pooling.`;
      throw new NibbleError('corrupt-checkpoint', message, { expected: cols, width });
    }
    width = rows;
  }
  if (asked == null) return width;
  return asked <= width ? asked : refuse('dimensions', asked, `at most ${width}, which this model's vectors have`);
}

/** @throws invalid-option for a name that the model does not have */
function promptOf({ prompts, defaultPrompt }: EmbeddingModules, asked = defaultPrompt ?? ''): string {
  if (asked === '') return '';
  const names = [...prompts.keys()].map((name) => `"${name}"`).join(', ');
  const known = names ? `one of this model's prompts (${names}), or empty` : 'empty, as this model has no prompts';
  return prompts.get(asked) ?? refuse('prompt', asked, known);
}

/** What follows the pooling. @param steps whether Normalize between others is heeded; `last`: behind all */
function finish(
  pooled: Float32Array,
  layers: EmbeddingModules['layers'],
  steps: boolean,
  last: boolean,
  dimensions: number,
): Float32Array {
  let vector = pooled;
  for (const layer of layers) {
    if (layer !== 'normalize') vector = applied(layer, vector);
    else if (steps) vector = normalised(vector);
  }
  const cut = vector.slice(0, dimensions);
  return last ? normalised(cut) : cut;
}

function applied({ rows, cols, weight, bias, activation }: DenseLayer, vector: Float32Array): Float32Array {
  return Float32Array.from({ length: rows }, (_, row) => {
    let sum = bias?.[row] ?? 0;
    for (let c = 0; c < cols; c++) sum += weight[row * cols + c] * vector[c];
    return ACTIVATIONS[activation](sum);
  });
}

/** x / max(‖x‖, 1e-12), as sentence-transformers has it */
function normalised(vector: Float32Array): Float32Array {
  const length = Math.max(Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0)), 1e-12);
  return vector.map((value) => value / length);
}
