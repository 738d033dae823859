/** Adapters on the CPU: their values as matrices, and what DoRA asks of the weights underneath. */
import {
  type ActiveAdapters,
  type BaseWeights,
  outputShape,
  type StepAdapters,
  wholeTensors,
} from '../../memory/adapted';
import { type DeviceMatrix, wholeChunks } from '../../memory/layout';
import type { Step } from '../../model/steps';
import { yieldToEvents } from '../../platform/yield-to-events';
import { type CpuMatrix, createMatrix, matrixBytes, rowValues, writeRows } from './matrix';
import { TIME_SLICE } from './time-slice';

export interface CpuAdapter {
  /** none where only biases change */
  product: { a: CpuMatrix; b: CpuMatrix } | null;
  /** in the place of the step's, by part; null: the step's own */
  biases: Float32Array[] | null;
  /** of the rows of W, by part */
  factors: Float32Array[] | undefined;
  /** in the place of the model's, by its names */
  matrices: ReadonlyMap<string, CpuMatrix>;
  vectors: ReadonlyMap<string, Float32Array>;
  bytes: number;
}

export interface CpuAdapters {
  steps: ReadonlyMap<Step, CpuAdapter>;
  /** of tensors that are whole, which several steps may share */
  wholeBytes: number;
}

export const NO_ADAPTERS: CpuAdapters = { steps: new Map(), wholeBytes: 0 };

export async function fillAdapters(
  active: ActiveAdapters,
  adapters: StepAdapters,
  base: (own: ReadonlyMap<Step, CpuAdapter['matrices']>) => BaseWeights,
): Promise<CpuAdapters> {
  const whole = wholeTensors(adapters);
  const matrices = new Map(
    whole.matrices.map(({ name, rows, cols, format }) => [name, createMatrix(name, rows, cols, format)]),
  );
  const vectors = new Map(whole.vectors.map(({ name, cols }) => [name, new Float32Array(wholeChunks(cols))]));
  await active.fill({
    write: async (name, slice) => {
      writeRows(matrices.get(name)!, slice);
      await yieldToEvents();
    },
    writeVector: (name, values) => vectors.get(name)!.set(values),
  });
  const own = new Map(
    [...adapters].map(([step, adapter]) => {
      const placed = [...adapter.matrices].map(([of, [{ name }]]) => [of, matrices.get(name)!] as const);
      return [step, new Map(placed)];
    }),
  );
  const filled = new Map<Step, CpuAdapter>();
  for (const [step, adapter] of adapters) {
    const contents = await active.read(adapter, 'cpu', base(own));
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
      matrices: own.get(step)!,
      vectors: new Map([...adapter.vectors].map(([of, { name }]) => [of, vectors.get(name)!])),
      factors: adapter.multiplier ? byPart(outputShape(step)[0]) : undefined,
      bytes: [...contents.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
    });
  }
  const bytes = [...matrices.values()].map(matrixBytes).concat([...vectors.values()].map((v) => v.byteLength));
  return { steps: filled, wholeBytes: bytes.reduce((sum, one) => sum + one, 0) };
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
  const step = Math.ceil(TIME_SLICE / (cols * (rank + 2)));
  let r = 0;
  for (const matrix of matrices) {
    for (let i = 0; i < matrix.rows; i++, r++) {
      if (r % step === 0) await yieldToEvents();
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
