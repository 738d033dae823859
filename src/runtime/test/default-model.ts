/** What torch computes with the default model, for tests and bench/logits.ts. Made by reference/make_expected.py. */
import { readFileSync } from 'node:fs';
import type { Prompt } from './prompts';

export const DEFAULT_MODEL = 'public/models/smollm2-135m-instruct-nf4';
/**
 * Largest difference that is allowed from transformers' logits in f32 on the dequantised weights, in units of the
 * largest magnitude, by the type of keys and values.
 */
export const TOLERANCE = { f32: 1e-3, f16: 5e-3 } as const;

const FIXTURES = 'reference/fixtures/default-model';

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
