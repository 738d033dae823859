/**
 * Several adapters at once, made into one for each step (memory/adapted.ts has its formula). As in PEFT they act in the
 * order given: u = W x; then for each, u += s (B (A x) + beta), and with DoRA u *= g, g = m / |W + s B A| a row (L2
 * over the inputs, and of this adapter alone); at last the bias, which is not scaled. So the factors g of an adapter
 * fall on all that came before it, and all can be multiplied into B's rows beforehand.
 */
import { NibbleError } from '../errors';
import { denseBytes } from '../formats/half';
import type { DenseType, MatrixFormat } from '../formats/matrix';
import {
  type ActiveAdapters,
  type AdaptedStep,
  type BaseWeights,
  outputShape,
  type WholeSink,
  type WholeTensor,
} from '../memory/adapted';
import { CHUNK_COLUMNS, type DeviceMatrix, type LayoutTarget } from '../memory/layout';
import type { Step } from '../model/steps';
import type { TargetModule } from './modules';
import type { Adapter, AdapterModule, AdapterTensor, TrainedTokens } from './peft';

export interface ScaledAdapter {
  adapter: Adapter;
  /** multiplies the adapter's own scaling */
  scale: number;
}

/** What a whole matrix, which takes the place of a tensor, is computed with as; `own` is the type in its file. */
export type FormatOf = (tensor: string, own: DenseType) => MatrixFormat;

/**
 * @throws invalid-option when two adapters replace biases, or the same module, which PEFT does not do either
 */
export function combineAdapters(
  steps: readonly Step[],
  adapters: readonly ScaledAdapter[],
  formatOf: FormatOf = (_, type) => ({ type }),
): ActiveAdapters {
  const withBiases = adapters.filter(({ adapter }) => adapter.biases.length > 0);
  if (withBiases.length > 1) {
    const names = withBiases.map(({ adapter }) => adapter.name);
    throw new NibbleError('invalid-option', `${names.join(' and ')} both replace biases; only one adapter may.`, {
      adapters: names,
    });
  }
  const whole = combineWhole(adapters, formatOf);
  refuseSharedTokens(adapters);
  const touched = new Set([
    ...adapters.flatMap(({ adapter: { modules, biases, tokens } }) =>
      [...modules, ...biases, ...tokens].map(({ target }) => target.step),
    ),
    ...[...whole.values()].map(({ target }) => target.step),
  ]);
  return {
    steps: [...touched].sort((a, b) => a - b).map((step) => shapeOf(step, adapters, at([...whole.values()], step))),
    async fill(sink) {
      const once = new Map([...whole.values()].map((one) => [one.tensor.name, one]));
      for (const one of once.values()) await fillWhole(one, sink);
    },
    async read(adapter, target, base) {
      const { a, b, bias } = await readStep(steps[adapter.step], adapter, adapters, base);
      const contents = new Map<string, Uint8Array<ArrayBuffer>>();
      for (const [matrices, values] of [
        [adapter.a, a],
        [adapter.b, b],
      ] as const)
        for (const matrix of matrices) contents.set(`${matrix.name}.codes`, laidOut(values, matrix, target));
      if (adapter.biases) contents.set(adapter.biases.buffer, bytesOf(bias!, 'f32'));
      return contents;
    },
  };
}

function refuseSharedTokens(adapters: readonly ScaledAdapter[]): void {
  const seen = new Map<string, Adapter>();
  for (const { adapter } of adapters) {
    for (const { target, indices } of adapter.tokens) {
      for (const index of indices) {
        const other = seen.get(`${target.module} ${index}`);
        seen.set(`${target.module} ${index}`, adapter);
        if (!other) continue;
        const names = [other.name, adapter.name];
        const text = `${names.join(' and ')} both replace token ${index}; only one adapter may.`;
        throw new NibbleError('invalid-option', text, { adapters: names, token: index });
      }
    }
  }
}

interface PlacedWhole {
  target: TargetModule;
  adapter: Adapter;
  values: AdapterTensor;
  saved: boolean;
  tensor: WholeTensor;
}

/** By module. What was loaded into the model gives way to a later adapter's, and to a module that was saved. */
function combineWhole(adapters: readonly ScaledAdapter[], formatOf: FormatOf): Map<string, PlacedWhole> {
  const whole = new Map<string, PlacedWhole>();
  for (const { adapter } of adapters) {
    for (const [target, { values, saved }] of adapter.whole) {
      const before = whole.get(target.module);
      const other = adapters.find(
        ({ adapter: one }) => saved && one !== adapter && one.modules.some((m) => m.target.module === target.module),
      );
      const rival = before?.saved && saved ? before.adapter : other?.adapter;
      if (rival) {
        const names = [rival.name, adapter.name];
        const text = `${names.join(' and ')} both change ${target.module}, one of them whole; only one adapter may.`;
        throw new NibbleError('invalid-option', text, { adapters: names, module: target.module });
      }
      if (before?.saved) continue;
      const norm = target.kind === 'norm';
      const [rows, cols] = norm ? [1, target.cols] : (values.raw.shape as [number, number]);
      const name = `lora.${adapters.findIndex((one) => one.adapter === adapter)}.${values.raw.start}`;
      const format = norm ? null : formatOf(target.tensor, values.type);
      whole.set(target.module, {
        target,
        adapter,
        values,
        saved,
        tensor: { of: target.tensor, name, rows, cols, format },
      });
    }
  }
  return whole;
}

/** bytes of a file at a time */
const SLICE_BYTES = 1 << 20;

async function fillWhole({ adapter, values, tensor: { name, rows, format } }: PlacedWhole, sink: WholeSink) {
  if (!format) return sink.writeVector(name, await adapter.read(values));
  const { start, end } = values.raw;
  const step = Math.max(1, Math.floor((SLICE_BYTES * rows) / (end - start)));
  for (let row = 0; row < rows; row += step)
    await sink.write(name, await adapter.slice(values, row, Math.min(step, rows - row)));
}

const bytesOf = (values: Float32Array, type: DenseType) => denseBytes(values, type) as Uint8Array<ArrayBuffer>;

/** The rows of a matrix, of values [rows, cols], as memory/layout.ts has them; on the GPU [chunk][row][32 columns]. */
function laidOut(values: Float32Array, { rows, cols, outputRow, format }: DeviceMatrix, target: LayoutTarget) {
  const type = format.type as DenseType;
  const own = values.subarray(outputRow * cols, (outputRow + rows) * cols);
  if (target === 'cpu') return bytesOf(own, type);
  const chunks = Math.ceil(cols / CHUNK_COLUMNS);
  const out = new Float32Array(chunks * rows * CHUNK_COLUMNS);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const first = chunk * CHUNK_COLUMNS;
    const last = Math.min(cols, first + CHUNK_COLUMNS);
    for (let r = 0; r < rows; r++)
      out.set(own.subarray(r * cols + first, r * cols + last), (chunk * rows + r) * CHUNK_COLUMNS);
  }
  return bytesOf(out, type);
}

const at = <T extends { target: TargetModule }>(all: readonly T[], step: number): T[] =>
  all.filter(({ target }) => target.step === step);

function shapeOf(step: number, adapters: readonly ScaledAdapter[], whole: readonly PlacedWhole[]): AdaptedStep {
  const modules = adapters.flatMap(({ adapter }) => at(adapter.modules, step));
  const tokens = adapters.flatMap(({ adapter }) => at(adapter.tokens, step));
  const types = new Set<DenseType>([...modules.map(({ a }) => a.type), ...tokens.map(() => 'f32' as const)]);
  const multiplier = modules.some(({ magnitude }) => magnitude !== null);
  const replaced = adapters.some(({ adapter }) => at(adapter.biases, step).length > 0);
  return {
    step,
    // a trained token is a rank of its own: 1 where it is, times what its row differs by
    rank:
      Math.ceil(
        [...modules.map((m) => m.rank), ...tokens.map((t) => t.indices.length)].reduce((a, b) => a + b, 0) / 4,
      ) * 4,
    type: types.size === 1 ? [...types][0] : 'f32',
    bias: multiplier || replaced || modules.some(({ bias }) => bias !== null),
    multiplier,
    whole: whole.map(({ tensor }) => tensor),
  };
}

const NONE = new Float32Array();

async function readStep(
  step: Step,
  { step: index, rank, bias, multiplier }: AdaptedStep,
  adapters: readonly ScaledAdapter[],
  base: BaseWeights,
): Promise<Record<'a' | 'b', Float32Array> & { bias: Float32Array | null }> {
  if (step.op !== 'linear' && step.op !== 'embed') return { a: NONE, b: NONE, bias: null };
  const [rows, cols] = outputShape(step);
  const a = new Float32Array(rank * cols);
  const b = new Float32Array(rows * rank);
  const factors = new Float32Array(rows).fill(1);
  const added = new Float32Array(rows);
  let column = 0;
  for (const { adapter, scale } of adapters) {
    const modules = at(adapter.modules, index);
    const first = column;
    for (const module of modules) {
      await place(module, adapter, scale, step.op === 'embed', { a, b, added, rank, cols, column });
      column += module.rank;
    }
    if (step.op === 'linear' && modules.some(({ magnitude }) => magnitude)) {
      const alone = onlyColumns(a, b, first, column, { rows, cols, rank });
      const norms = await base.rowNorms(step, alone.a, alone.b, column - first);
      for (const module of modules) await applyDora(module, adapter, norms, { b, added, factors, rank });
    }
    for (const trained of at(adapter.tokens, index)) {
      await placeTokens(trained, adapter, step, base, { a, b, rank, cols, column });
      column += trained.indices.length;
    }
  }
  if (!bias || step.op !== 'linear') return { a, b, bias: null };
  // padded as the plan pads vectors
  const sum = new Float32Array(Math.ceil((multiplier ? 2 * rows : rows) / CHUNK_COLUMNS) * CHUNK_COLUMNS);
  if (step.parts.some((part) => part.bias)) sum.set(await base.biases(step));
  for (const { adapter } of adapters) {
    for (const { target, values } of at(adapter.biases, index)) sum.set(await adapter.read(values), target.outputRow);
  }
  for (let r = 0; r < rows; r++) sum[r] += added[r];
  if (multiplier) sum.set(factors, rows);
  return { a, b, bias: sum };
}

interface Stacked {
  a: Float32Array;
  b: Float32Array;
  added: Float32Array;
  rank: number;
  cols: number;
  column: number;
}

/** One module's A and s B into their rows and columns of the whole. */
async function place(
  { target: { outputRow, rows }, rank: own, scaling, a, b, bias }: AdapterModule,
  adapter: Adapter,
  scale: number,
  transposed: boolean,
  all: Stacked,
): Promise<void> {
  const [valuesA, valuesB, beta] = [await adapter.read(a), await adapter.read(b), bias && (await adapter.read(bias))];
  const s = scaling * scale;
  if (transposed) {
    for (let k = 0; k < own; k++)
      for (let c = 0; c < all.cols; c++) all.a[c * all.rank + all.column + k] = valuesA[k * all.cols + c];
  } else all.a.set(valuesA, all.column * all.cols);
  for (let r = 0; r < rows; r++) {
    const to = (outputRow + r) * all.rank + all.column;
    for (let k = 0; k < own; k++) all.b[to + k] = s * valuesB[r * own + k];
    if (beta) all.added[outputRow + r] += s * beta[r];
  }
}

/** A row that was trained takes the place of the model's: W x + (new - W) x where the token is. */
async function placeTokens(
  { target: { tensor }, indices, values }: TrainedTokens,
  adapter: Adapter,
  step: Step,
  base: BaseWeights,
  { a, b, rank, cols, column }: Omit<Stacked, 'added'>,
): Promise<void> {
  const rows = await base.rows(step, tensor, indices);
  const change = (await adapter.read(values)).map((value, i) => value - rows[i]);
  const width = change.length / indices.length;
  indices.forEach((id, k) => {
    const own = change.subarray(k * width, (k + 1) * width);
    if (step.op === 'embed') {
      a[id * rank + column + k] = 1;
      own.forEach((value, r) => {
        b[r * rank + column + k] = value;
      });
    } else {
      a.set(own, (column + k) * cols);
      b[id * rank + column + k] = 1;
    }
  });
}

/** Rows first..end of A and the same columns of B. */
function onlyColumns(
  a: Float32Array,
  b: Float32Array,
  first: number,
  end: number,
  { rows, cols, rank }: { rows: number; cols: number; rank: number },
) {
  const width = end - first;
  const some = new Float32Array(rows * width);
  for (let r = 0; r < rows; r++) some.set(b.subarray(r * rank + first, r * rank + end), r * width);
  return { a: a.subarray(first * cols, end * cols), b: some };
}

async function applyDora(
  { target: { outputRow, rows, module }, magnitude }: AdapterModule,
  adapter: Adapter,
  norms: Float32Array,
  { b, added, factors, rank }: { b: Float32Array; added: Float32Array; factors: Float32Array; rank: number },
): Promise<void> {
  if (!magnitude) return;
  const values = await adapter.read(magnitude);
  for (let r = 0; r < rows; r++) {
    const row = outputRow + r;
    const g = values[r] / norms[row];
    if (!Number.isFinite(g)) {
      throw new NibbleError('corrupt-checkpoint', `Row ${r} of ${module} is all zero, which DoRA cannot scale.`, {
        module,
        row: r,
      });
    }
    for (let k = row * rank; k < (row + 1) * rank; k++) b[k] *= g;
    added[row] *= g;
    factors[row] *= g;
  }
}
