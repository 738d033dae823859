/**
 * What active adapters add to a model, as the plan and the executors see it. All adapters of a step are one: A and B of
 * each are stacked (lora/combine.ts), so that a step costs one product more by A and one by B, however many are active:
 *
 *   y = multiplier * (W x) + B (A x) + bias        scalings and DoRA's row factors are in B already
 *
 * An adapter may bring W itself, too (modules_to_save, or the embedding that PEFT saves beside its LoRA), and norms.
 *
 * Pure.
 */
import type { DenseType, MatrixFormat, RowSlice } from '../formats/matrix';
import type { Step, StepOf } from '../model/steps';
import { type DeviceMatrix, deviceMatrices, type LayoutTarget, wholeChunks } from './layout';

/** A tensor that takes the place of the model's, whole. Two steps may share one: a tied head and its embedding. */
export interface WholeTensor {
  /** the model's tensor */
  of: string;
  name: string;
  /** 1 for vectors */
  rows: number;
  cols: number;
  /** null: a vector, f32 */
  format: MatrixFormat | null;
}

/** How a step (linear, the embedding, or one with norms) changes, known from the adapters' headers. */
export interface AdaptedStep {
  /** index into the model's steps */
  step: number;
  /** rows of A and columns of B, a multiple of 4; 0: only the bias changes */
  rank: number;
  /** type of A, as the files have it */
  type: DenseType;
  /** it has biases of its own in the place of the step's */
  bias: boolean;
  /** it multiplies the rows of W (DoRA); it then has biases too, be they zero */
  multiplier: boolean;
  whole?: readonly WholeTensor[];
}

/** Where whole tensors go. */
export interface WholeSink {
  write(name: string, slice: RowSlice): Promise<void>;
  writeVector(name: string, values: Float32Array): void;
}

/** What the adapters must know of the weights they stand on; the executor has them. */
export interface BaseWeights {
  /** L2 norm of each row of W + b a, W [rows, cols] as it is computed with, b [rows, rank], a [rank, cols] */
  rowNorms(step: StepOf<'linear'>, a: Float32Array, b: Float32Array, rank: number): Promise<Float32Array>;
  /** Some rows of one of a step's matrices, [indices, cols], as it is computed with. */
  rows(step: Step, tensor: string, indices: readonly number[]): Promise<Float32Array>;
  /** The biases of a step that has some, [rows], zero where a part has none. */
  biases(step: StepOf<'linear'>): Promise<Float32Array>;
}

/** What Executor.setAdapters() takes. */
export interface ActiveAdapters {
  steps: readonly AdaptedStep[];
  /** Brings all whole tensors, each once, before anything is read. @throws corrupt-checkpoint, network, aborted */
  fill(sink: WholeSink): Promise<void>;
  /**
   * The contents of one step's buffers, by name, as they are computed with: a is [rank, cols], of the embedding
   * [vocab, rank]; b is [rows, rank]; biases are followed by multipliers where there are any.
   * @throws corrupt-checkpoint, network, aborted
   */
  read(step: StepAdapter, target: LayoutTarget, base: BaseWeights): Promise<Map<string, Uint8Array<ArrayBuffer>>>;
}

/** An adapted step as the device holds it. */
export interface StepAdapter extends AdaptedStep {
  a: DeviceMatrix[];
  b: DeviceMatrix[];
  /** name and f32 values of the buffer of biases, and multipliers where there are any */
  biases: { buffer: string; length: number } | null;
  /** by the model's tensor: what is computed with in its place; rows of the output as the step has them */
  matrices: ReadonlyMap<string, readonly DeviceMatrix[]>;
  vectors: ReadonlyMap<string, WholeTensor>;
}

/** By step of the model. */
export type StepAdapters = ReadonlyMap<Step, StepAdapter>;

/** The activation buffer that holds A x, [tokens, rank]. */
export const LORA_BUFFER = 'lora';

export function planAdapters(
  steps: readonly Step[],
  adapted: readonly AdaptedStep[],
  maxBinding: number,
  target: LayoutTarget,
): StepAdapters {
  return new Map(
    adapted.map((one): [Step, StepAdapter] => {
      const step = steps[one.step];
      const { whole = [] } = one;
      const vectors = new Map(whole.filter(({ format }) => !format).map((tensor) => [tensor.of, tensor]));
      const none = { ...one, a: [], b: [], biases: null, matrices: new Map(), vectors };
      if (step.op !== 'linear' && step.op !== 'embed') return [step, none];
      const [rows, cols] = outputShape(step);
      const matrices = new Map(
        whole.map(({ of, name, rows, cols, format }) => {
          const cut = { parts: [{ name, rows, bias: null }], cols };
          const first = firstRow(step, of);
          return [
            of,
            deviceMatrices(cut, () => format!, maxBinding, target).map((matrix) => ({
              ...matrix,
              outputRow: matrix.outputRow + first,
            })),
          ];
        }),
      );
      const matrix = (kind: 'a' | 'b', rows: number, cols: number, type: DenseType) =>
        deviceMatrices(
          { parts: [{ name: `lora.${one.step}.${kind}`, rows, bias: null }], cols },
          () => ({ type }),
          maxBinding,
          target,
        );
      const { rank, type } = one;
      const a = step.op === 'embed' ? matrix('a', step.rows, rank, type) : matrix('a', rank, cols, type);
      const length = one.multiplier ? 2 * rows : rows;
      const biases = one.bias ? { buffer: `lora.${one.step}.bias`, length } : null;
      return [step, { ...none, a: rank ? a : [], b: rank ? matrix('b', rows, rank, 'f32') : [], biases, matrices }];
    }),
  );
}

/** Where a tensor's rows begin in its step's output. */
function firstRow(step: Step, tensor: string): number {
  const parts = step.op === 'linear' ? step.parts : [];
  const before = parts.slice(
    0,
    parts.findIndex(({ name }) => name === tensor),
  );
  return before.reduce((sum, { rows }) => sum + rows, 0);
}

/**
 * The matrices that a step computes with, in this order: where one of several that are stacked is an adapter's, it
 * writes its rows of the output after the stack has written all.
 */
export function weightsOf(
  matrices: readonly DeviceMatrix[],
  adapter: StepAdapter | undefined,
  names: readonly string[],
): DeviceMatrix[] {
  const own = names.filter((name) => !adapter?.matrices.has(name));
  return [
    ...matrices.filter(({ parts }) => parts.some(({ tensor }) => own.includes(tensor))),
    ...names.flatMap((name) => adapter?.matrices.get(name) ?? []),
  ];
}

/** All whole matrices of some adapters, and vectors, each once. */
export function wholeTensors(adapters: StepAdapters): { matrices: DeviceMatrix[]; vectors: WholeTensor[] } {
  const once = <T extends { name: string }>(all: T[]) => [...new Map(all.map((one) => [one.name, one])).values()];
  const all = [...adapters.values()];
  return {
    matrices: once(all.flatMap(({ matrices }) => [...matrices.values()].flat())),
    vectors: once(all.flatMap(({ vectors }) => [...vectors.values()])),
  };
}

/**
 * The most bytes that may exist on the GPU, beside all that is planned, while adapters are made ready: what DoRA's
 * norms are computed from (execute/gpu/row-norms.ts), for all adapters of a step as if they were one; or, before that,
 * the buffers that whole tensors come through.
 * @param uploadBytes of those, the plan's staging
 */
export function makingBytes(adapters: StepAdapters, uploadBytes: number): number {
  const values = [...adapters].map(([step, { rank, multiplier }]) => {
    if (!multiplier) return 0;
    const [rows, cols] = outputShape(step);
    return rank * wholeChunks(cols) + rank * rows + rows;
  });
  const whole = wholeTensors(adapters).matrices.length > 0 ? uploadBytes : 0;
  return Math.max(whole, 4 * Math.max(0, ...values));
}

/** [outputs, inputs] of a step that can have an adapter. */
export function outputShape(step: Step): [number, number] {
  if (step.op === 'embed') return [step.width, step.rows];
  if (step.op !== 'linear') throw new Error(`${step.op} has no adapter`);
  return [step.parts.reduce((rows, part) => rows + part.rows, 0), step.cols];
}
