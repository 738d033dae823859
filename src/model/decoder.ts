/**
 * The one decoder: ModelSpec -> the list of steps of a forward pass (steps.ts), and from the same list the tensors a
 * checkpoint must hold. Tensor names are those of transformers' modeling_*.py for a language model alone.
 */
import { HEAD } from './head';
import type { ModelSpec } from './spec';
import type { BufferName, LinearPart, Step, StepOf } from './steps';

export interface TensorSlot {
  /** Hugging Face name with `.weight` or `.bias` */
  name: string;
  /** 1 for vectors */
  rows: number;
  cols: number;
  kind: 'matrix' | 'vector';
}

/** Name of the embedding table; also the head's when they are tied. */
export const EMBEDDING = 'model.embed_tokens.weight';

/** The forward pass of `spec`, for any number of tokens. */
export function forwardSteps(spec: ModelSpec): Step[] {
  const embed: Step = {
    op: 'embed',
    table: EMBEDDING,
    scale: spec.embedScale,
    out: 'x',
    width: spec.width,
    rows: spec.vocab,
  };
  const head: Step = {
    ...linear('h', 'logits', [{ name: spec.tiedHead ? EMBEDDING : HEAD, rows: spec.vocab, bias: null }], spec.width),
    scale: spec.logitScale,
    lastOnly: true,
    softcap: spec.logitSoftcap,
  };
  const layers = spec.layers.flatMap((_, i) => [...attention(spec, i), ...mlp(spec, i)]);
  return [embed, ...layers, norm(spec, 'x', 'h', 'model.norm.weight'), ...(spec.headless ? [] : [head])];
}

function linear(input: BufferName, out: BufferName, parts: LinearPart[], cols: number): StepOf<'linear'> {
  return { op: 'linear', in: input, out, parts, cols, accumulate: false, scale: 1, lastOnly: false, softcap: null };
}

function norm(spec: ModelSpec, input: BufferName, out: BufferName, weight: string): Step {
  return { op: 'norm', in: input, out, weight, width: spec.width, eps: spec.normEps, offset: spec.normOffset };
}

function part(module: string, rows: number, bias: boolean): LinearPart {
  return { name: `${module}.weight`, rows, bias: bias ? `${module}.bias` : null };
}

function attention(spec: ModelSpec, layer: number): Step[] {
  const at = `model.layers.${layer}`;
  const self = `${at}.self_attn`;
  const { heads, kvHeads, headSize, qkNorm } = spec;
  const { rope, window } = spec.layers[layer];
  const rows = { q: heads * headSize, kv: kvHeads * headSize };
  const qkv = spec.fused
    ? [part(`${self}.qkv_proj`, rows.q + 2 * rows.kv, spec.bias.qkv)]
    : [
        part(`${self}.q_proj`, rows.q, spec.bias.qkv),
        part(`${self}.k_proj`, rows.kv, spec.bias.qkv),
        part(`${self}.v_proj`, rows.kv, spec.bias.qkv),
      ];
  const normed = qkNorm !== 'none';
  return [
    ...enter(spec, `${at}.input_layernorm.weight`, 'qkv', qkv),
    {
      op: 'rotate',
      layer,
      rope,
      qNorm: normed ? `${self}.q_norm.weight` : null,
      kNorm: normed ? `${self}.k_norm.weight` : null,
      normOver: qkNorm === 'projection' ? 'projection' : 'head',
      eps: spec.normEps,
      offset: spec.normOffset,
    },
    { op: 'append', layer },
    { op: 'attend', layer, scale: spec.attentionScale, softcap: spec.attentionSoftcap, window, out: 'attn' },
    ...leave(
      spec,
      'attn',
      part(`${self}.o_proj`, spec.width, spec.bias.o),
      rows.q,
      `${at}.post_attention_layernorm.weight`,
    ),
  ];
}

function mlp(spec: ModelSpec, layer: number): Step[] {
  const at = `model.layers.${layer}`;
  const rows = spec.mlpWidth;
  const gateUp = spec.fused
    ? [part(`${at}.mlp.gate_up_proj`, 2 * rows, spec.bias.mlp)]
    : [part(`${at}.mlp.gate_proj`, rows, spec.bias.mlp), part(`${at}.mlp.up_proj`, rows, spec.bias.mlp)];
  // Trap: in Llama `post_attention_layernorm` is the norm before the MLP, in Gemma 2 and 3 it follows attention.
  const before = spec.normPlacement === 'sandwich' ? 'pre_feedforward_layernorm' : 'post_attention_layernorm';
  return [
    ...enter(spec, `${at}.${before}.weight`, 'gateUp', gateUp),
    { op: 'activate', activation: spec.activation, width: rows },
    ...leave(
      spec,
      'mlp',
      part(`${at}.mlp.down_proj`, spec.width, spec.bias.mlp),
      rows,
      `${at}.post_feedforward_layernorm.weight`,
    ),
  ];
}

/** Into a sub-layer: the residual stream, normed unless norms come only after (OLMo 2). */
function enter(spec: ModelSpec, weight: string, out: BufferName, parts: LinearPart[]): Step[] {
  if (spec.normPlacement === 'post') return [linear('x', out, parts, spec.width)];
  return [norm(spec, 'x', 'h', weight), linear('h', out, parts, spec.width)];
}

/** Out of a sub-layer: added to the residual stream, through a norm where the family has one there. */
function leave(spec: ModelSpec, input: BufferName, output: LinearPart, cols: number, weight: string): Step[] {
  const scale = spec.residualScale;
  if (spec.normPlacement === 'pre') return [{ ...linear(input, 'x', [output], cols), accumulate: true, scale }];
  return [
    linear(input, 'o', [output], cols),
    norm(spec, 'o', 'o', weight),
    { op: 'add', in: 'o', out: 'x', width: spec.width, scale },
  ];
}

/** Every tensor of the forward pass once, in the order of first use (the embedding first). */
export function tensorTable(spec: ModelSpec): TensorSlot[] {
  const table = new Map<string, TensorSlot>();
  const add = (name: string, rows: number, cols: number, kind: TensorSlot['kind']) => {
    if (!table.has(name)) table.set(name, { name, rows, cols, kind });
  };
  for (const step of forwardSteps(spec)) {
    if (step.op === 'embed') add(step.table, step.rows, step.width, 'matrix');
    if (step.op === 'norm') add(step.weight, 1, step.width, 'vector');
    if (step.op === 'linear') {
      for (const { name, rows, bias } of step.parts) {
        add(name, rows, step.cols, 'matrix');
        if (bias) add(bias, 1, rows, 'vector');
      }
    }
    if (step.op === 'rotate' && step.qNorm && step.kNorm) {
      const all = step.normOver === 'projection';
      add(step.qNorm, 1, all ? spec.heads * spec.headSize : spec.headSize, 'vector');
      add(step.kNorm, 1, all ? spec.kvHeads * spec.headSize : spec.headSize, 'vector');
    }
  }
  return [...table.values()];
}

/** Number of parameters, a tied head counted once. */
export function parameterCount(spec: ModelSpec): number {
  return tensorTable(spec).reduce((sum, { rows, cols }) => sum + rows * cols, 0);
}
