/**
 * ModelSpec: config.json made explicit. A family is data: every difference between families that the decoder knows is
 * a field here, read from config.json by parse.ts; nothing is decided by a model's name. Pure.
 */

export type Activation = 'silu' | 'gelu_tanh';

/**
 * Rotary embedding of one kind of layer: pair (j, j + dim/2) of a head turns by position * frequencies[j].
 * Frequencies are computed once from base and scaling (rope.ts); the angles are never stored.
 */
export interface Rope {
  /** dims of a head that turn; the rest pass through */
  dim: number;
  /** dim/2 angles per position, f64 */
  frequencies: readonly number[];
  /** other frequencies for conversations that go beyond so many positions (longrope), see frequenciesFor() */
  long: { beyond: number; frequencies: readonly number[] } | null;
  /** cos and sin are multiplied by this (longrope, yarn); 1 otherwise */
  magnitude: number;
}

export interface LayerSpec {
  /** global layers see everything, sliding ones the last `window` positions, the query included */
  kind: 'global' | 'sliding';
  window: number | null;
  /** null: no positions (NoPE) */
  rope: Rope | null;
}

export interface ModelSpec {
  /** config.json's model_type, for display only */
  family: string;
  layers: readonly LayerSpec[];
  width: number;
  heads: number;
  kvHeads: number;
  headSize: number;
  mlpWidth: number;
  vocab: number;
  contextLength: number;
  normEps: number;
  /** 1 for Gemma, whose norms multiply by (1 + w) */
  normOffset: 0 | 1;
  activation: Activation;
  embedScale: number;
  /** multiplies q·k */
  attentionScale: number;
  attentionSoftcap: number | null;
  logitSoftcap: number | null;
  residualScale: number;
  logitScale: number;
  tiedHead: boolean;
  /** the checkpoint has no head, its own or tied: it gives hidden states and no logits. Absent: it has one */
  headless?: true;
  bias: { qkv: boolean; o: boolean; mlp: boolean };
  qkNorm: 'none' | 'head' | 'projection';
  /** pre: x + f(norm(x)); sandwich: x + norm(f(norm(x))) (Gemma 2, 3); post: x + norm(f(x)) (OLMo 2) */
  normPlacement: 'pre' | 'sandwich' | 'post';
  /** q,k,v in one tensor and gate,up in one tensor in the file (Phi-3) */
  fused: boolean;
}
