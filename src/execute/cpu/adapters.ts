/** Adapters on the CPU: their values as matrices, and what DoRA asks of the weights underneath. */
import { type ActiveAdapters, type BaseWeights, outputShape, type StepAdapters } from '../../memory/adapted';
import type { DeviceMatrix } from '../../memory/layout';
import type { Step } from '../../model/steps';
import { breathe } from './breathe';
import { type CpuMatrix, createMatrix, rowValues } from './matrix';

export interface CpuAdapter {
  /** none where only biases change */
  product: { a: CpuMatrix; b: CpuMatrix } | null;
  /** in the place of the step's, by part; null: the step's own */
  biases: Float32Array[] | null;
  /** of the rows of W, by part */
  factors: Float32Array[] | undefined;
  bytes: number;
}

/** Rows of DoRA between two turns of the event loop. */
const ROWS_A_TURN = 256;

export async function fillAdapters(
  active: ActiveAdapters,
  adapters: StepAdapters,
  base: BaseWeights,
): Promise<Map<Step, CpuAdapter>> {
  const filled = new Map<Step, CpuAdapter>();
  for (const [step, adapter] of adapters) {
    const contents = await active.read(adapter, 'cpu', base);
    const matrix = ({ name, rows, cols, format }: DeviceMatrix): CpuMatrix => {
      const made = createMatrix(name, rows, cols, format);
      new Uint8Array(made.codes.buffer).set(contents.get(`${name}.codes`)!);
      return made;
    };
    const biases = adapter.biases && new Float32Array(contents.get(adapter.biases.buffer)!.buffer);
    const byPart = (first: number) => {
      let end = first;
      return (step.op === 'linear' ? step.parts : []).map(({ rows }) => {
        end += rows;
        return biases!.subarray(end - rows, end);
      });
    };
    filled.set(step, {
      product: adapter.rank ? { a: matrix(adapter.a[0]), b: matrix(adapter.b[0]) } : null,
      biases: biases && byPart(0),
      factors: adapter.multiplier ? byPart(outputShape(step)[0]) : undefined,
      bytes: [...contents.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
    });
  }
  return filled;
}

/** L2 norms of the rows of W + b a, W being `matrices` one below the other, a [rank, cols], b [rows, rank]. */
export async function rowNorms(
  matrices: readonly CpuMatrix[],
  a: Float32Array,
  b: Float32Array,
  rank: number,
): Promise<Float32Array> {
  const cols = a.length / rank;
  const norms = new Float32Array(b.length / rank);
  const row = new Float64Array(cols);
  let r = 0;
  for (const matrix of matrices) {
    for (let i = 0; i < matrix.rows; i++, r++) {
      if (r % ROWS_A_TURN === 0) await breathe();
      rowValues(matrix, i, row, 0);
      for (let k = 0; k < rank; k++) {
        const weight = b[r * rank + k];
        for (let c = 0; c < cols; c++) row[c] += weight * a[k * cols + c];
      }
      let squares = 0;
      for (let c = 0; c < cols; c++) squares += row[c] * row[c];
      norms[r] = Math.sqrt(squares);
    }
  }
  return norms;
}
