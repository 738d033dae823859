/** How hidden states become one: the sums and picks that both executors make, of which a caller makes means. */

/**
 * What is made of the states of positions from `from` on, column by column: that of the first or the last position,
 * their sum, their sum with each times its position + 1, or the largest.
 */
export type PooledRow = 'first' | 'last' | 'sum' | 'weighted' | 'max';

export interface Pooled {
  rows: readonly PooledRow[];
  /** the first position that counts */
  from: number;
}

/** What stands in the rows before any state has come. */
const LEAST = -3.4e38;

/** Whether the last position alone is looked at. */
export const isLastOnly = ({ rows }: Pooled): boolean => rows.every((row) => row === 'last');

/** Rows of `width` values to begin with. */
export function emptyRows({ rows }: Pooled, width: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    if (row === 'max') values.fill(LEAST, i * width, (i + 1) * width);
  });
  return values;
}

/**
 * Pools some states onto what is there.
 * @param values [rows, width]
 * @param states [tokens, width]
 * @param position of the first of them
 */
export function poolStates(
  values: Float32Array,
  { rows, from }: Pooled,
  width: number,
  states: Float32Array,
  tokens: number,
  position: number,
): void {
  for (let t = Math.max(0, from - position); t < tokens; t++) {
    rows.forEach((row, i) => {
      if (row === 'first' && position + t !== from) return;
      const weight = row === 'weighted' ? position + t + 1 : 1;
      for (let c = 0; c < width; c++) {
        const [at, state] = [i * width + c, states[t * width + c]];
        if (row === 'max') values[at] = Math.max(values[at], state);
        else values[at] = row === 'sum' || row === 'weighted' ? values[at] + weight * state : state;
      }
    });
  }
}
