/** What makes one vector of a text's hidden states, in sentence-transformers' words. Pure. */
import type { NibbleError } from '../errors';
import type { Pooling } from '../protocol';

/** The functions that follow a Dense; sentence-transformers names them by their class in torch.nn. */
export const ACTIVATIONS = {
  Identity: (x: number) => x,
  Tanh: Math.tanh,
  ReLU: (x: number) => Math.max(0, x),
  Sigmoid: (x: number) => 1 / (1 + Math.exp(-x)),
  SiLU: (x: number) => x / (1 + Math.exp(-x)),
} as const;

/** out = activation(weight · in + bias) */
export interface DenseLayer {
  rows: number;
  cols: number;
  /** [rows, cols] */
  weight: Float32Array;
  bias: Float32Array | null;
  activation: keyof typeof ACTIVATIONS;
}

/** How a text becomes a vector. */
export interface EmbeddingModules {
  /** what is wrong with the files, or what in them is not known here; then nothing else of this counts */
  refusal: NibbleError | null;
  /** of several, the results one behind the other, in the order of POOLINGS */
  pooling: readonly Pooling[];
  /** whether the tokens of the prompt are pooled, too */
  includePrompt: boolean;
  /** what follows, in order */
  layers: readonly (DenseLayer | 'normalize')[];
  prompts: ReadonlyMap<string, string>;
  /** which of them is used where none is named */
  defaultPrompt: string | null;
  /** the most tokens of a text; null: as many as the model reads */
  maxTokens: number | null;
  lowerCase: boolean;
  /** how many values of a vector are kept where nobody says; null: all */
  dimensions: number | null;
}

/** Of a model whose files say nothing more. */
export const plainModules = (pooling: Pooling): EmbeddingModules => ({
  refusal: null,
  pooling: [pooling],
  includePrompt: true,
  layers: [],
  prompts: new Map(),
  defaultPrompt: null,
  maxTokens: null,
  lowerCase: false,
  dimensions: null,
});
