/**
 * The last token of a pass of many, made the only one: between the part of a prompt's pass that every token takes and
 * the part that its logits alone need. Test: elementwise.gpu.test.ts.
 */
import source from '../../shaders/last-row.wgsl?raw';
import type { Heads } from './heads';
import { type Description, kernel } from './kernel';

export const LAST_ROW = { label: 'last_row', source, bindings: { x: 0, qkv: 1, state: 2 } } satisfies Description;

export const lastRowKernel = ({ width, heads, kvHeads, headSize }: Heads & { width: number }) =>
  kernel(LAST_ROW, { THREADS: 256, X_WORDS: width / 4, QKV_WORDS: ((heads + 2 * kvHeads) * headSize) / 4 });
