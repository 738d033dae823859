/** Options of what reads texts and writes none: EmbedOptions and RerankOptions in protocol.ts say what each is for. */
import type { EmbedOptions, RerankOptions } from '../protocol';
import type { Spec, Specs } from './spec';

export const EMBED_OPTIONS = {
  pooling: {
    type: 'choice',
    of: ['lasttoken', 'mean', 'cls', 'max', 'mean_sqrt_len_tokens', 'weightedmean'],
    only: 'cli',
    says: "How one vector is made of the tokens'; as the model's files say where nothing else is said.",
  },
  normalize: {
    type: 'flag',
    only: 'cli',
    says: "Makes every vector's length 1; as the model's files say where nothing else is said.",
  },
  dimensions: {
    type: 'number',
    least: 1,
    whole: true,
    only: 'cli',
    says: 'Keeps so many values of each vector, the first.',
  },
  prompt: {
    type: 'text',
    empty: true,
    only: 'cli',
    says: "Name of the prompt before each text, empty for none; the model's default prompt where nothing is said.",
  },
} as const satisfies Specs<EmbedOptions>;

export const RERANK_OPTIONS = {
  instruction: {
    type: 'text',
    only: 'cli',
    says: 'What documents are judged for; retrieving passages that answer the query where nothing is said.',
  },
} as const satisfies Specs<RerankOptions>;

export const TOKENIZE_OPTIONS = {
  special: { type: 'flag', only: 'code', says: 'Whether special tokens that stand in the text are parsed.' },
} as const satisfies Record<string, Spec>;
