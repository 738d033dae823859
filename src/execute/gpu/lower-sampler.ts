/** The sampler, lowered to dispatches: it samples from the logits and prepares the next token's pass. */
import { sampleAdjustGroups, sampleAdjustKernel } from '../../kernels/sample-adjust';
import { sampleMaxKernel } from '../../kernels/sample-max';
import { samplePickKernel } from '../../kernels/sample-pick';
import { ADJUSTED, SAMPLE_GROUPS, TOKENS } from '../../memory/gpu-scratch';
import { type Op, op } from './op';

/** @param adjusts whether links of the chain change single logits, by the buffer of what is known of each token */
export function lowerSampler(vocab: number, adjusts: boolean): Op[] {
  const logits = adjusts ? ADJUSTED : 'logits';
  const adjust = op(
    sampleAdjustKernel(vocab),
    { logits: 'logits', tokens: TOKENS, adjusted: ADJUSTED, state: 'state' },
    () => sampleAdjustGroups(vocab),
  );
  const shared = { logits, maxima: 'maxima' };
  const drawn = { state: 'state', ids: 'ids', sampled: 'sampled', ...(adjusts && { tokens: TOKENS }) };
  return [
    ...(adjusts ? [adjust] : []),
    op(sampleMaxKernel(vocab), shared, () => [SAMPLE_GROUPS]),
    op(samplePickKernel(vocab, adjusts), { ...shared, ...drawn }, () => [1]),
  ];
}
