/** New keys and values into the ring. Reference: execute/cpu/kv-ring.ts (append), test: attention.gpu.test.ts. */
import source from '../../shaders/append.wgsl?raw';
import type { KvType } from '../memory/kv';
import { HEAD_BINDINGS, HEAD_THREADS, type HeadPart, type HeadShape, type Heads, headConstants } from './heads';
import { type Description, kernel } from './kernel';

export const APPEND = { label: 'append', source, bindings: HEAD_BINDINGS } satisfies Description;

export const appendKernel = (spec: Heads, shape: HeadShape, part: HeadPart) =>
  kernel(APPEND, {
    ...headConstants(spec, shape, part),
    LESS_BIAS: shape.keyBias,
    THREAD_QUADS: Math.ceil(spec.headSize / 4 / HEAD_THREADS),
  });

/** int8 takes a workgroup a head, which shares a scale; the others a thread for two values. */
export const appendGroups = (spec: Heads, kv: KvType, part: HeadPart, tokens: number): [number, number] =>
  kv === 'int8' ? [tokens, part.heads] : [Math.ceil((tokens * part.heads * spec.headSize) / 2 / HEAD_THREADS), 1];
