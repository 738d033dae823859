/**
 * The sampler, lowered to dispatches: it samples from the logits and prepares the next token's pass. The likeliest
 * takes two of them, a draw three, top-k three more and top-p four.
 */
import { sampleAdjustGroups, sampleAdjustKernel } from '../../kernels/sample-adjust';
import { sampleDigitGroups, sampleDigitKernel } from '../../kernels/sample-digit';
import { sampleDrawKernel } from '../../kernels/sample-draw';
import { sampleMassKernel } from '../../kernels/sample-mass';
import { sampleMaxKernel } from '../../kernels/sample-max';
import { samplePickKernel } from '../../kernels/sample-pick';
import type { SamplerShape } from '../../kernels/sampling';
import { ADJUSTED, TOKENS } from '../../memory/gpu-scratch';
import type { Links } from '../sampler/links';
import { type Op, op } from './op';

/** @param links those that a request asks for: adjustments change single logits, by what is known of each token */
export function lowerSampler(vocab: number, shape: SamplerShape, { adjusts, draws, topK, topP }: Links): Op[] {
  const logits = adjusts ? ADJUSTED : 'logits';
  const found = { logits, state: 'state', maxima: 'maxima' };
  const kept = { kept: 'kept' };
  const keeps = topK || topP;
  const groups = (): [number] => [shape.groups];
  const ops: Op[] = [];
  if (adjusts) {
    const adjust = { logits: 'logits', tokens: TOKENS, adjusted: ADJUSTED, state: 'state' };
    ops.push(op(sampleAdjustKernel(vocab), adjust, () => sampleAdjustGroups(vocab)));
  }
  ops.push(op(sampleMaxKernel(vocab, shape, keeps), { ...found, ...(keeps && kept) }, groups));
  const stages = (from: number) => {
    for (const stage of [from, from + 1, from + 2]) {
      const digit = sampleDigitKernel(vocab, shape);
      ops.push(op(digit, { ...found, ...kept }, () => sampleDigitGroups(shape, stage)));
    }
  };
  if (topK) stages(0);
  if (topP) {
    ops.push(op(sampleMassKernel(vocab, shape), { ...found, ...kept }, groups));
    stages(3);
  }
  if (draws) {
    const buffers = { ...found, ...(keeps && kept), winners: 'winners' };
    ops.push(op(sampleDrawKernel(vocab, shape, keeps), buffers, groups));
  }
  const drawn = { state: 'state', ids: 'ids', sampled: 'sampled', ...(adjusts && { tokens: TOKENS }) };
  const pick = samplePickKernel(vocab, shape, adjusts);
  return [...ops, op(pick, { maxima: draws ? 'winners' : 'maxima', ...drawn }, () => [1])];
}
