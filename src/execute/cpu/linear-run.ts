/**
 * A linear step as both ways of computing it see it (linear.ts, simd-linear.ts), and how its sums become its output.
 */
import type { StepOf } from '../../model/steps';
import type { CpuMatrix } from './matrix';

/** More than FEW tokens go in steps of so many. */
export const TOKENS = 4;

/** What a linear step reads and writes. */
export interface LinearRun {
  step: Pick<StepOf<'linear'>, 'cols' | 'accumulate' | 'scale' | 'softcap'>;
  matrices: readonly CpuMatrix[];
  /** by matrix; null: no bias */
  biases: readonly (Float32Array | null)[];
  /** by matrix: what its rows are multiplied with (DoRA) */
  factors?: readonly Float32Array[];
  input: Float32Array;
  /** first token's offset in `input` */
  inputAt: number;
  output: Float32Array;
  tokens: number;
}

/**
 * Where the sum of row r and token t stands: at from + (r - the first of the rows) * row + (t - the first token) *
 * token.
 */
interface Sums {
  from: number;
  row: number;
  token: number;
}

/**
 * output[t, first + r] (+)= scale * (factor * sum + bias), soft-capped, for rows row..end of matrix `m` and tokens
 * token..lastToken.
 * @param first row of the matrix in the output
 */
export function finish(
  run: LinearRun,
  m: number,
  y: Float64Array | Float32Array,
  sums: Sums,
  row: number,
  end: number,
  first: number,
  token: number,
  lastToken: number,
): void {
  const { output, factors, matrices } = run;
  const bias = run.biases[m];
  const factor = factors?.[m];
  const { accumulate, scale, softcap } = run.step;
  let stride = 0;
  for (let i = 0; i < matrices.length; i++) stride += matrices[i].rows;
  const asTheyAre = !bias && !factor && !accumulate && scale === 1 && softcap === null;
  if (asTheyAre && sums.row === 1 && token + 1 === lastToken) {
    output.set(y.subarray(sums.from, sums.from + end - row), token * stride + first + row);
    return;
  }
  for (let r = row; r < end; r++) {
    const f = factor ? factor[r] : 1;
    const b = bias ? bias[r] : 0;
    let from = sums.from + (r - row) * sums.row;
    let at = token * stride + first + r;
    for (let t = token; t < lastToken; t++, from += sums.token, at += stride) {
      let value = scale * (y[from] * f + b);
      if (softcap !== null) value = softcap * Math.tanh(value / softcap);
      output[at] = accumulate ? output[at] + value : value;
    }
  }
}
