/** What torch computes with the default model, for tests and bench/logits.ts. Made by reference/make_expected.py. */
import { readFileSync } from 'node:fs';
import { runPrompt } from '../../node/run-prompt';
import type { Model } from '../open-model';

export const DEFAULT_MODEL = 'public/models/smollm2-135m-instruct-nf4';
/** Largest difference of logits that is allowed, in units of the largest magnitude: issue 3. */
export const TOLERANCE = { f32: 1e-3, f16: 5e-3 } as const;

const FIXTURES = 'reference/fixtures/default-model';
const GREEDY = { temperature: 0, topK: 0, topP: 1, seed: 0 };

export interface Prompt {
  text: string;
  ids: number[];
  /** decoded ids that ignore the end of text, and by how much each won */
  greedy: number[];
  margins: number[];
  /** largest magnitude of the logits after the prompt */
  logitScale: number;
  /** the largest of them, */
  top: { ids: number[]; values: number[] };
  /** or all, where they are kept */
  logits: Float32Array | null;
}

export interface PerplexityCase {
  text: string;
  textTokens: number;
  window: number;
  limit: number | null;
  predictedTokens: number;
  perplexity: number;
}

const readJson = (name: string): unknown => JSON.parse(readFileSync(`${FIXTURES}/${name}`, 'utf8'));

/** @param of the shipped model, or the GGUF that it was made from */
export function expectedPrompts(of: 'default' | 'q4_1'): Prompt[] {
  const [file, prefix, raw] = of === 'default' ? ['expected.json', '', 2] : ['expected-q4_1.json', 'q4_1-', 1];
  const { prompts } = readJson(file as string) as { prompts: Omit<Prompt, 'logits'>[] };
  return prompts.map((prompt, i) => ({
    ...prompt,
    logits:
      i < (raw as number)
        ? new Float32Array(new Uint8Array(readFileSync(`${FIXTURES}/${prefix}logits-${i}.f32`)).buffer)
        : null,
  }));
}

export const expectedPerplexity = (): PerplexityCase[] =>
  (readJson('perplexity.json') as { cases: PerplexityCase[] }).cases;

/** Largest difference from what is known of the logits, in units of their scale. */
export function difference(actual: Float32Array, { logits, top, logitScale }: Prompt): number {
  const pairs = logits ? Array.from(logits, (value, id) => [id, value]) : top.ids.map((id, i) => [id, top.values[i]]);
  return Math.max(...pairs.map(([id, value]) => Math.abs(actual[id] - value))) / logitScale;
}

/** How many greedy ids must be equal: up to the first step whose margin is under twice the tolerance. */
export function sureSteps({ margins, logitScale }: Prompt, tolerance: number): number {
  const close = margins.findIndex((margin) => margin < 2 * tolerance * logitScale);
  return close < 0 ? margins.length : close;
}

/** Logits after the prompt, and greedy ids that ignore the end of text. */
export async function answerOf(model: Model, ids: readonly number[], newTokens: number) {
  await runPrompt(model, ids, undefined, newTokens);
  const logits = (await model.executor.logits()).slice();
  const decoded: number[] = [];
  for await (const id of model.executor.decode(ids.length, newTokens, GREEDY)) decoded.push(id);
  return { logits, ids: decoded };
}
