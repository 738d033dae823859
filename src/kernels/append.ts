/**
 * New keys and values into the ring, for prefill; decode attention does it itself. Reference: execute/cpu/kv-ring.ts
 * (append), test: attention.gpu.test.ts.
 */
import source from '../../shaders/append.wgsl?raw';
import { HEAD_BINDINGS, type HeadPart, type HeadShape, type Heads, headConstants } from './heads';
import { type Description, kernel } from './kernel';

export const APPEND = { label: 'append', source, bindings: HEAD_BINDINGS } satisfies Description;

export const appendKernel = (spec: Heads, shape: HeadShape, part: HeadPart) =>
  kernel(APPEND, { ...headConstants(spec, shape, part, 'keys'), KEY_VECTORS: false, VALUE_VECTORS: false });

/** A workgroup a head of a token. */
export const appendGroups = (part: HeadPart, tokens: number): [number, number] => [tokens, part.heads];
