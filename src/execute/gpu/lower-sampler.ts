/**
 * The sampler, lowered to dispatches: it samples from the logits and prepares the next token's pass. The likeliest
 * takes two of them, a draw three, a rule of what is kept none to four more (links.ts), an adjustment one, and
 * log-probabilities two.
 */
import { sampleAdjustGroups, sampleAdjustKernel } from '../../kernels/sample-adjust';
import { sampleDrawKernel } from '../../kernels/sample-draw';
import { SAMPLE_EDIT_GROUPS, sampleEditKernel } from '../../kernels/sample-edit';
import { sampleMaxKernel } from '../../kernels/sample-max';
import { samplePickKernel } from '../../kernels/sample-pick';
import { sampleReportKernel } from '../../kernels/sample-report';
import { sampleScanGroups, sampleScanKernel } from '../../kernels/sample-scan';
import { sampleTopKernel } from '../../kernels/sample-top';
import type { SamplerShape } from '../../kernels/sampling';
import { ADJUSTED, EDITS, LOGPROB_PARTS, LOGPROBS, TOKENS } from '../../memory/gpu-scratch';
import type { Links } from '../sampler/links';
import { type Op, op } from './op';

/** @param links those that a request asks for: adjustments change single logits, by what is known of each token */
export function lowerSampler(vocab: number, shape: SamplerShape, links: Links): Op[] {
  const { adjusts, edits, draws, keeps, passes, logprobs } = links;
  const [raw, state] = [{ logits: 'logits' }, { state: 'state' }];
  const logits = { logits: adjusts ? ADJUSTED : 'logits' };
  const found = { ...logits, ...state, maxima: 'maxima' };
  const kept = { kept: 'kept' };
  const groups = (): [number] => [shape.groups];
  const one = (): [number] => [1];
  const ops: Op[] = [];
  if (logprobs) {
    ops.push(op(sampleTopKernel(vocab, shape), { ...raw, parts: LOGPROB_PARTS, ...state }, groups));
    ops.push(op(sampleReportKernel(vocab, shape), { parts: LOGPROB_PARTS, logprobs: LOGPROBS, ...state }, one));
  }
  if (adjusts) {
    const adjust = { ...raw, tokens: TOKENS, adjusted: ADJUSTED, ...state };
    ops.push(op(sampleAdjustKernel(vocab), adjust, () => sampleAdjustGroups(vocab)));
  }
  if (edits) {
    ops.push(op(sampleEditKernel(vocab), { edits: EDITS, adjusted: ADJUSTED, ...state }, () => SAMPLE_EDIT_GROUPS));
  }
  ops.push(op(sampleMaxKernel(vocab, shape, keeps), { ...found, ...(keeps && kept) }, groups));
  passes.forEach((_, index) => {
    ops.push(op(sampleScanKernel(vocab, shape), { ...found, ...kept }, () => sampleScanGroups(shape, index)));
  });
  if (draws) {
    const buffers = { ...found, ...(keeps && kept), winners: 'winners' };
    ops.push(op(sampleDrawKernel(vocab, shape, keeps), buffers, groups));
  }
  const told = logprobs && { ...raw, logprobs: LOGPROBS };
  const drawn = { ...state, ids: 'ids', sampled: 'sampled', ...(adjusts && { tokens: TOKENS }), ...told };
  const pick = samplePickKernel(vocab, shape, adjusts, logprobs);
  return [...ops, op(pick, { maxima: draws ? 'winners' : 'maxima', ...drawn }, one)];
}
