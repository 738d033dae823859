/**
 * The forward pass is a list. `forwardSteps(spec)` (decoder.ts) turns a ModelSpec into these logical steps over named
 * activation buffers; an executor lowers the list: the GPU to fused dispatches, the CPU to plain functions. The same
 * list serves prefill (many tokens) and decode (one): every step works on [tokens, width] rows.
 *
 * Activation buffers, each [tokens, n] row-major f32:
 *   x       [T, width]                 the residual stream
 *   h       [T, width]                 normed input of a linear
 *   qkv     [T, (heads + 2 kvHeads) * headSize]   q heads, then k heads, then v heads
 *   attn    [T, heads * headSize]
 *   o       [T, width]                 output of a sub-layer where it is not added to x directly (post-norms)
 *   gateUp  [T, 2 * mlpWidth]          gate, then up
 *   mlp     [T, mlpWidth]
 *   logits  [1 or T, vocab]
 */
import type { Activation, Rope } from './spec';

export type BufferName = 'x' | 'h' | 'qkv' | 'attn' | 'o' | 'gateUp' | 'mlp' | 'logits';

/** A weight matrix of a linear step: tensor name and the rows it contributes to the stacked output. */
export interface LinearPart {
  name: string;
  rows: number;
  /** tensor name of the bias [rows], or null */
  bias: string | null;
}

export type Step =
  /** x[t] = table[id[t]] * scale */
  | { op: 'embed'; table: string; scale: number; out: 'x'; width: number; rows: number }
  /** out = in * rsqrt(mean(in^2) + eps) * (offset + weight) ; per row of `width` */
  | { op: 'norm'; in: BufferName; out: BufferName; weight: string; width: number; eps: number; offset: 0 | 1 }
  /**
   * out = concat(parts · in) (+ bias), rows stacked; with `accumulate`, out += scale * result (the residual add).
   * `lastOnly`: only the last token of the last chunk is computed (the head), unless all logits are asked for.
   */
  | {
      op: 'linear';
      in: BufferName;
      out: BufferName;
      parts: readonly LinearPart[];
      cols: number;
      accumulate: boolean;
      scale: number;
      lastOnly: boolean;
      softcap: number | null;
    }
  /** in place on qkv: optional RMS norm of each q and k head (weights [headSize]), then RoPE at absolute positions */
  | {
      op: 'rotate';
      layer: number;
      rope: Rope | null;
      qNorm: string | null;
      kNorm: string | null;
      /** 'head': over headSize; 'projection': over all heads at once */
      normOver: 'head' | 'projection';
      eps: number;
      offset: 0 | 1;
    }
  /** k and v of qkv into the ring of `layer`, at slot position mod capacity */
  | { op: 'append'; layer: number }
  /** attn = softmax(cap(scale q·k) + mask) v over the ring; q head h reads kv head h / (heads/kvHeads) */
  | {
      op: 'attend';
      layer: number;
      scale: number;
      softcap: number | null;
      window: number | null;
      out: 'attn';
    }
  /** mlp = act(gate) * up */
  | { op: 'activate'; activation: Activation; width: number }
  /** out += scale * in */
  | { op: 'add'; in: BufferName; out: BufferName; width: number; scale: number };

/** The steps of one operation. */
export type StepOf<Op extends Step['op']> = Extract<Step, { op: Op }>;
