/**
 * Times shapes on the model's own products: all layers' of a kind, one after another, so that weights come from the
 * GPU's memory as they do in an answer. They read what is there of the weights, and write activations, which nobody
 * needs before the first prompt.
 */
import { submittedWorkDone } from '../../../gpu/wait';
import { isMatmul, type ProductCandidate, withCandidates } from '../../../kernels/candidates';
import { matmulTokens } from '../../../kernels/matmul';
import { lower } from '../lower';
import type { Bound } from '../op';
import type { TuneContext } from './context';

/** A batch is at least so long, ms: a page's clock goes in steps of 0.1 ms, and a submit costs as much. */
const BATCH_MS = 4;
/** Rounds of a batch at most. */
const MOST_ROUNDS = 256;
/** Batches, of which the shortest counts: weights that arrive meanwhile take their time of the others. */
const BATCHES = 3;

/** Products of a kind in the list of a pass, by the label that the lowering gives them. */
const LABELS: Record<ProductCandidate['role'], RegExp> = {
  qkv: /^matvec qkv/,
  attn: /^matvec attn/,
  gateUp: /^matvec gateUp/,
  mlp: /^matvec mlp/,
  head: /^matvec logits/,
  matmul: /^(matmul (qkv|attn|gateUp|mlp)|int8_rows)/,
  few: /^matmul (qkv|attn|gateUp|mlp)/,
};

/** @returns ms of one pass through all layers */
export async function timeProducts(context: TuneContext, candidate: ProductCandidate): Promise<number> {
  const mode = isMatmul(candidate) ? 'prefill' : 'decode';
  const shapes = withCandidates(context.shapes, [candidate]);
  const ops = lower({ ...context.lowering, shapes }, mode).filter(({ kernel }) =>
    LABELS[candidate.role].test(kernel.label),
  );
  const bound = await context.bind(ops);
  const tokens = !isMatmul(candidate) ? 1 : candidate.role === 'few' ? matmulTokens(candidate.shape) : context.chunk;
  const { queue } = context.gpu.device;
  queue.writeBuffer(context.buffer('state'), 0, Uint32Array.of(0, tokens));
  let rounds = 1;
  let ms = await batch(context, bound, rounds, tokens);
  while (ms < BATCH_MS && rounds < MOST_ROUNDS) {
    rounds *= ms * 4 < BATCH_MS ? 4 : 2;
    ms = await batch(context, bound, rounds, tokens);
  }
  for (let i = 1; i < BATCHES; i++) ms = Math.min(ms, await batch(context, bound, rounds, tokens));
  return ms / rounds;
}

/** ms from a submit of so many rounds until it is done */
async function batch({ gpu }: TuneContext, bound: readonly Bound[], rounds: number, tokens: number): Promise<number> {
  const { device, health } = gpu;
  // what was submitted before is not counted
  await submittedWorkDone(device);
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (let round = 0; round < rounds; round++) {
    for (const { op, pipeline, group } of bound) {
      const [x, y = 1, z = 1] = op.groups(tokens, tokens - 1, []);
      if (x === 0) continue;
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(x, y, z);
    }
  }
  pass.end();
  const began = performance.now();
  device.queue.submit([encoder.finish()]);
  await submittedWorkDone(device);
  health.check();
  return performance.now() - began;
}
