/**
 * The parts that split attention left, merged to rows in place, where the matvec that reads them does not do it itself;
 * its workgroups: attention.ts. Reference: execute/cpu/attend.ts, test: attention.gpu.test.ts.
 */
import source from '../../shaders/merge.wgsl?raw';
import { wholeChunks } from '../memory/layout';
import { HEAD_THREADS, type Heads } from './heads';
import { type Description, kernel } from './kernel';
import { mergeConstants } from './linear';

export const MERGE = { label: 'merge', source, bindings: { x: 0, state: 1, out: 2 } } satisfies Description;

/**
 * @param splits the most parts (attention.ts, mostSplits)
 * @param rows whether it writes to the token's row of `out`, and not in place
 */
export function mergeKernel({ heads, headSize }: Heads, splits: number, rows = false) {
  const width = heads * headSize;
  return kernel(MERGE, {
    ...mergeConstants({ heads, headSize, splits }),
    COLUMNS: width,
    X_WORDS: wholeChunks(width) / 4,
    THREADS: HEAD_THREADS,
    ROWS: rows,
    ROW_WORDS: width / 4,
  });
}
