/** Adapters on the CPU: their values as matrices, and what DoRA asks of the weights underneath. */
import { type ActiveAdapters, type BaseWeights, outputShape, type StepAdapters } from '../../memory/adapted';
import type { DeviceMatrix } from '../../memory/layout';
import type { Step } from '../../model/steps';
import { breathe } from './breathe';
import { type CpuMatrix, createMatrix, matrixBytes, rowValues, writeRows } from './matrix';

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
    const values = await active.read(adapter, base);
    const product = adapter.rank
      ? { a: filledMatrix(adapter.a[0], values.a), b: filledMatrix(adapter.b[0], values.b) }
      : null;
    let bytes = product ? matrixBytes(product.a) + matrixBytes(product.b) : 0;
    let biases: Float32Array[] | null = null;
    let factors: Float32Array[] | undefined;
    if (adapter.biases && step.op === 'linear') {
      // The plan rounds vectors up, as kernels read whole words.
      const both = new Float32Array(Math.ceil(adapter.biases.length / 32) * 32);
      both.set(values.bias!);
      bytes += both.byteLength;
      const [rows] = outputShape(step);
      const byPart = (first: number) => {
        let end = first;
        return step.parts.map((part) => {
          end += part.rows;
          return both.subarray(end - part.rows, end);
        });
      };
      biases = byPart(0);
      if (adapter.multiplier) factors = byPart(rows);
    }
    filled.set(step, { product, biases, factors, bytes });
  }
  return filled;
}

function filledMatrix({ name, rows, cols, format }: DeviceMatrix, values: Float32Array): CpuMatrix {
  const matrix = createMatrix(name, rows, cols, format);
  const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  writeRows(matrix, { row0: 0, rows, cols, type: 'dense', dense: 'f32', data });
  return matrix;
}

/** The weights of a loaded model. */
export class CpuBase implements BaseWeights {
  constructor(
    private readonly steps: readonly Step[],
    private readonly matrix: (name: string) => CpuMatrix,
    private readonly vector: (name: string) => Float32Array,
  ) {}

  async rowNorms(index: number, a: Float32Array, b: Float32Array, rank: number): Promise<Float32Array> {
    const step = this.steps[index];
    const [rows, cols] = outputShape(step);
    const norms = new Float32Array(rows);
    const row = new Float64Array(cols);
    let r = 0;
    for (const { name } of step.op === 'linear' ? step.parts : []) {
      const matrix = this.matrix(name);
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

  async biases(index: number): Promise<Float32Array> {
    const step = this.steps[index];
    const all = new Float32Array(outputShape(step)[0]);
    let at = 0;
    for (const { bias, rows } of step.op === 'linear' ? step.parts : []) {
      if (bias) all.set(this.vector(bias), at);
      at += rows;
    }
    return all;
  }
}
