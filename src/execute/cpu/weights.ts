/** The CPU's weights: every matrix and vector of the plan, the sink that fills them, and what adapters ask of them. */
import { NibbleError } from '../../errors';
import type { BaseWeights } from '../../memory/adapted';
import { biasBuffer, type MemoryPlan, type ModelGraph, stepVectors } from '../../memory/plan';
import type { LinearPart, Step } from '../../model/steps';
import { hastenCollection } from '../../platform/release';
import type { WeightSink } from '../executor';
import { type CpuAdapter, rowNorms } from './adapters';
import { type Bank, placesIn } from './bank';
import { type CpuMatrix, createMatrix, matrixBytes, rowValues, writeRows } from './matrix';

/** Asked for with each slice, of 1 MiB at most. Six times as much made a load from the store a twentieth slower. */
const UNTOUCHED_BYTES = 1 << 20;

export class CpuWeights {
  readonly sink: WeightSink;
  readonly #matrices = new Map<string, CpuMatrix>();
  readonly #vectors = new Map<string, Float32Array>();

  /** @param banks as the plan has them */
  constructor({ steps, spec }: ModelGraph, plan: MemoryPlan, banks: readonly Bank[]) {
    const places = placesIn(banks);
    for (const { name, rows, cols, format } of plan.matrices)
      this.#matrices.set(name, createMatrix(name, rows, cols, format, places.get(name)));
    const lengths = stepVectors(steps, spec);
    this.#createVectors(steps, lengths, new Map(plan.buffers.map(({ name, bytes }) => [name, bytes])));
    const missing = new Set(lengths.keys());
    this.sink = {
      write: async (name, slice) => {
        hastenCollection(UNTOUCHED_BYTES);
        writeRows(this.matrix(name), slice);
      },
      writeVector: (name, values) => {
        const length = lengths.get(name) ?? 0;
        if (values.length !== length) throw damaged(name, `${values.length} values came, ${length} are needed`);
        this.vector(name).set(values);
        missing.delete(name);
      },
      finish: async () => {
        for (const name of missing) throw damaged(name, 'it never came');
        for (const { name, rows, filled } of this.#matrices.values()) {
          if (filled !== rows) throw damaged(name, `${filled} of ${rows} rows came`);
        }
      },
    };
  }

  /** The biases of a step's parts stand in one array, as the plan has them. */
  #createVectors(
    steps: readonly Step[],
    lengths: ReadonlyMap<string, number>,
    planned: ReadonlyMap<string, number>,
  ): void {
    for (const step of steps) {
      const stacked = step.op === 'linear' ? biasBuffer(step) : null;
      if (step.op !== 'linear' || stacked === null) continue;
      const values = new Float32Array(planned.get(stacked)! / 4);
      let at = 0;
      for (const { bias, rows } of step.parts) {
        if (bias) this.#vectors.set(bias, values.subarray(at, at + rows));
        at += rows;
      }
    }
    for (const name of lengths.keys()) {
      if (!this.#vectors.has(name)) this.#vectors.set(name, new Float32Array(planned.get(name)! / 4));
    }
  }

  /** @throws corrupt-checkpoint where the plan does not have it */
  matrix(name: string): CpuMatrix {
    return this.#matrices.get(name) ?? never(name);
  }

  /** @throws corrupt-checkpoint where the plan does not have it */
  vector(name: string): Float32Array {
    return this.#vectors.get(name) ?? never(name);
  }

  /** The weights as adapters see them, beside their own. */
  base(own: ReadonlyMap<Step, CpuAdapter['matrices']>): BaseWeights {
    const matrix = (step: Step, name: string) => own.get(step)?.get(name) ?? this.matrix(name);
    return {
      rowNorms: (step, ...product) =>
        rowNorms(
          step.parts.map(({ name }) => matrix(step, name)),
          ...product,
        ),
      rows: async (step, tensor, indices) => {
        const from = matrix(step, tensor);
        const rows = new Float64Array(indices.length * from.cols);
        indices.forEach((index, i) => {
          rowValues(from, index, rows, i * from.cols);
        });
        return Float32Array.from(rows);
      },
      biases: async ({ parts }) => {
        const of = ({ bias, rows }: LinearPart) => [...(bias ? this.vector(bias) : new Float32Array(rows))];
        return Float32Array.from(parts.flatMap(of));
      },
    };
  }

  get bytes(): number {
    const matrices = [...this.#matrices.values()].map(matrixBytes);
    const vectors = [...this.#vectors.values()].map(({ byteLength }) => byteLength);
    return [...matrices, ...vectors].reduce((sum, bytes) => sum + bytes, 0);
  }

  clear(): void {
    this.#matrices.clear();
    this.#vectors.clear();
  }
}

function damaged(name: string, why: string): NibbleError {
  return new NibbleError('corrupt-checkpoint', `${name}: ${why}.`, { name });
}

function never(name: string): never {
  throw damaged(name, 'the plan does not have it');
}
