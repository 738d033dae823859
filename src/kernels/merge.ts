/**
 * The parts that split attention left, merged to rows, where the matvec that reads them cannot do it itself. Reference:
 * execute/cpu/attend.ts, test: attention.gpu.test.ts.
 */
import source from '../../shaders/merge.wgsl?raw';
import { MAX_SPLITS } from '../memory/gpu-scratch';
import { wholeChunks } from '../memory/layout';
import { HEAD_THREADS, type Heads } from './heads';
import { type Description, kernel } from './kernel';

export const MERGE = { label: 'merge', source, bindings: { x: 0, out: 1 } } satisfies Description;

export function mergeKernel(spec: Heads) {
  const width = spec.heads * spec.headSize;
  return kernel(MERGE, {
    HEADS: spec.heads,
    HEAD_SIZE: spec.headSize,
    COLUMNS: width,
    X_WORDS: wholeChunks(width) / 4,
    MAX_SPLITS,
    THREADS: HEAD_THREADS,
  });
}

export const mergeGroups = (spec: Heads): number => Math.ceil((spec.heads * spec.headSize) / 4 / HEAD_THREADS);
