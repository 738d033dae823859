/** The sampler, lowered to dispatches: it samples from the logits and prepares the next token's pass. */
import { sampleMaxKernel } from '../../kernels/sample-max';
import { samplePickKernel } from '../../kernels/sample-pick';
import { SAMPLE_GROUPS } from '../../memory/gpu-scratch';
import { type Op, op } from './op';

export function lowerSampler(vocab: number): Op[] {
  return [
    op(sampleMaxKernel(vocab), { logits: 'logits', maxima: 'maxima' }, () => [SAMPLE_GROUPS]),
    op(
      samplePickKernel(vocab),
      { logits: 'logits', maxima: 'maxima', state: 'state', ids: 'ids', sampled: 'sampled' },
      () => [1],
    ),
  ];
}
