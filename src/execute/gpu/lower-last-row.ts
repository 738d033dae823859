/** The end of a prompt, lowered to a dispatch. */
import { lastRowKernel } from '../../kernels/last-row';
import type { ModelSpec } from '../../model/spec';
import { type Op, op } from './op';

/** What leaves of a pass its last token, of which the tail and the head of a decode make logits. */
export const lowerLastRow = (spec: ModelSpec): Op =>
  op(lastRowKernel(spec), { x: 'x', qkv: 'qkv', state: 'state' }, () => [1]);
