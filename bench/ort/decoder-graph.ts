/**
 * A whole decoder as an ONNX graph with random 4-bit weights, in the form that the exporters of onnxruntime-genai and
 * transformers.js give it: contrib operators throughout, past and present KV as inputs and outputs. Two things are in
 * the rival's favour: the head sees the last position only, and the embedding is quantised (a gather, not a Memcpy).
 * Operators: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
 */
import type { Geometry } from './geometries';
import { GraphBuilder, type Pieces } from './onnx';

export interface GraphOptions {
  /**
   * nbits: symmetric int4 in blocks of 32, f32 scales (MatMulNBits); nbits8: the same in int8. bnb4: NF4 in blocks of
   * 64 (MatMulBnb4). q8: int8 with one scale a matrix, activations to uint8 at each use (DynamicQuantizeMatMul)
   */
  weights: 'nbits' | 'nbits8' | 'bnb4' | 'q8';
  /** MatMulNBits' accuracy_level: 0 leaves it to ORT, 4 allows int8 activations */
  accuracy: 0 | 4;
  /** q, k, v as one matrix (onnxruntime-genai) or three (which ORT may fuse itself) */
  packed: boolean;
}

const MS = 'com.microsoft';
const CONTEXT = 1024;

/** Words that look random: an xorshift generator, the same at every run. */
function randomBytes(bytes: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  let state = 0x9e3779b9 ^ bytes;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, bytes);
}

const filled = (n: number, value: number) => new Float32Array(n).fill(value);

export function decoderGraph(geometry: Geometry, options: GraphOptions): Pieces {
  const { hidden_size: hidden, intermediate_size: inner, vocab_size: vocab, num_hidden_layers: layers } = geometry;
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, rms_norm_eps, rope_theta } = geometry;
  const head = hidden / heads;
  const kv = kvHeads * head;
  const biased = geometry.model_type === 'qwen2';
  const graph = new GraphBuilder();
  const epsilon = { float: rms_norm_eps };

  /** y = x W^T + b, W [n, k]; int4 around 8 has a standard deviation of 4.6, int8 of 74, NF4's codes of 0.5 */
  function linear(name: string, x: string, n: number, k: number, bias = false): string {
    if (options.weights === 'bnb4') {
      const w = graph.constant(`${name}.w`, 'uint8', [(n * k) / 2], randomBytes((n * k) / 2));
      const absmax = graph.constant(`${name}.s`, 'float', [(n * k) / 64], filled((n * k) / 64, 2 / Math.sqrt(k)));
      const y = graph.node(
        'MatMulBnb4',
        [x, w, absmax],
        [`${name}.y`],
        { K: k, N: n, block_size: 64, quant_type: 1 },
        MS,
      );
      return bias ? graph.node('Add', [y, zeros(`${name}.b`, n)], [`${name}.z`]) : y;
    }
    if (options.weights === 'q8') {
      const w = graph.constant(`${name}.w`, 'int8', [k, n], randomBytes(n * k));
      const scale = graph.constant(`${name}.s`, 'float', [1], filled(1, 1 / (74 * Math.sqrt(k))));
      const inputs = bias ? [x, w, scale, '', zeros(`${name}.b`, n)] : [x, w, scale];
      return graph.node('DynamicQuantizeMatMul', inputs, [`${name}.y`], {}, MS);
    }
    const blocks = k / 32;
    const [bits, deviation] = options.weights === 'nbits8' ? [8, 74] : [4, 4.6];
    const w = graph.constant(`${name}.w`, 'uint8', [n, blocks, bits * 4], randomBytes(n * blocks * bits * 4));
    const scale = 1 / (deviation * Math.sqrt(k));
    const scales = graph.constant(`${name}.s`, 'float', [n, blocks], filled(n * blocks, scale));
    const attributes = { K: k, N: n, bits, block_size: 32, accuracy_level: options.accuracy };
    const y = graph.node('MatMulNBits', [x, w, scales], [`${name}.y`], attributes, MS);
    return bias ? graph.node('Add', [y, zeros(`${name}.b`, n)], [`${name}.z`]) : y;
  }
  const zeros = (name: string, n: number) => graph.constant(name, 'float', [n], filled(n, 0));
  const gain = (name: string) => graph.constant(name, 'float', [hidden], filled(hidden, 1));

  const ids = graph.input('input_ids', 'int64', [1, 'sequence']);
  const mask = graph.input('attention_mask', 'int64', [1, 'total']);
  const one = graph.constant('one', 'int64', [1], BigInt64Array.of(1n));
  const sum = graph.node('ReduceSum', [mask, one], ['mask.sum'], { keepdims: 0 });
  const seqlens = graph.node('Cast', [graph.node('Sub', [sum, one], ['mask.last'])], ['seqlens_k'], { to: 6 });
  const scalar = graph.constant('index1', 'int64', [], BigInt64Array.of(1n));
  const length = graph.node('Gather', [graph.node('Shape', [mask], ['mask.shape']), scalar], ['mask.length'], {
    axis: 0,
  });
  const total = graph.node('Cast', [length], ['total_sequence_length'], { to: 6 });

  const angles = Float64Array.from({ length: (CONTEXT * head) / 2 }, (_, i) => {
    const frequency = rope_theta ** ((-2 * (i % (head / 2))) / head);
    return Math.floor(i / (head / 2)) * frequency;
  });
  const cos = graph.constant('cos_cache', 'float', [CONTEXT, head / 2], Float32Array.from(angles, Math.cos));
  const sin = graph.constant('sin_cache', 'float', [CONTEXT, head / 2], Float32Array.from(angles, Math.sin));

  const table = graph.constant('embed.w', 'uint8', [vocab, hidden / 2], randomBytes((vocab * hidden) / 2));
  const tableScales = graph.constant('embed.s', 'float', [vocab, hidden / 32], filled((vocab * hidden) / 32, 0.2));
  const gather = { gather_axis: 0, quantize_axis: 1, block_size: 32, bits: 4 };
  let residual = graph.node('GatherBlockQuantized', [table, ids, tableScales], ['embed.y'], gather, MS);
  let x = graph.node('SimplifiedLayerNormalization', [residual, gain('norm.0')], ['norm.0.y'], {
    axis: -1,
    epsilon,
    stash_type: 1,
  });
  /** adds to the residual stream and normalises it */
  const addNorm = (name: string, delta: string) => {
    const outputs = [`${name}.y`, '', '', `${name}.sum`];
    x = graph.node('SkipSimplifiedLayerNormalization', [residual, delta, gain(name)], outputs, { epsilon }, MS);
    residual = `${name}.sum`;
  };
  for (let i = 0; i < layers; i++) {
    const past = ['key', 'value'].map((kind) =>
      graph.input(`past_key_values.${i}.${kind}`, 'float', [1, kvHeads, 'past', head]),
    );
    const present = ['key', 'value'].map((kind) => `present.${i}.${kind}`);
    const qkv = options.packed
      ? [linear(`${i}.qkv`, x, hidden + 2 * kv, hidden, biased), '', '']
      : [
          linear(`${i}.q`, x, hidden, hidden, biased),
          linear(`${i}.k`, x, kv, hidden, biased),
          linear(`${i}.v`, x, kv, hidden, biased),
        ];
    const attended = graph.node(
      'GroupQueryAttention',
      [...qkv, ...past, seqlens, total, cos, sin],
      [`${i}.attended`, ...present],
      {
        num_heads: heads,
        kv_num_heads: kvHeads,
        scale: { float: 1 / Math.sqrt(head) },
        do_rotary: 1,
        rotary_interleaved: 0,
      },
      MS,
    );
    for (const name of present) graph.output(name, 'float', [1, kvHeads, 'total', head]);
    addNorm(`${i}.post`, linear(`${i}.o`, attended, hidden, hidden));
    const gate = linear(`${i}.gate`, x, inner, hidden);
    const up = linear(`${i}.up`, x, inner, hidden);
    const silu = graph.node('Mul', [gate, graph.node('Sigmoid', [gate], [`${i}.sigmoid`])], [`${i}.silu`]);
    const product = graph.node('Mul', [silu, up], [`${i}.product`]);
    addNorm(`norm.${i + 1}`, linear(`${i}.down`, product, hidden, inner));
  }
  const minusOne = graph.constant('minus1', 'int64', [1], BigInt64Array.of(-1n));
  const end = graph.constant('end', 'int64', [1], BigInt64Array.of(BigInt(2 ** 31 - 1)));
  const last = graph.node('Slice', [x, minusOne, end, one], ['last']);
  graph.node('Identity', [linear('lm_head', last, vocab, hidden)], ['logits']);
  graph.output('logits', 'float', [1, 1, vocab]);
  return graph.model('decoder');
}
