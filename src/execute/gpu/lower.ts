/**
 * The list of steps, lowered to dispatches. Decode fuses what one token allows (five dispatches a layer for a uniform
 * Llama or Qwen); prefill keeps norms apart and multiplies many tokens at once. Pure: an Op names its buffers as the
 * memory plan does, and the executor looks them up. It is long because every step has its case here.
 */
import type { DeviceProfile } from '../../gpu/device-profile';
import { activateGroups, activateKernel } from '../../kernels/activate';
import { appendGroups, appendKernel } from '../../kernels/append';
import {
  decodeAttendGroups,
  decodeAttendKernel,
  mergeGroups,
  mergeRowGroups,
  mostSplits,
  prefillAttendGroups,
  prefillAttendKernel,
} from '../../kernels/attention';
import { embedGroups, embedKernel } from '../../kernels/embed';
import type { HEAD_BINDINGS, HeadShape } from '../../kernels/heads';
import type { LinearFusion } from '../../kernels/linear';
import { type MATVEC, type MatvecShape, matvecGroups, matvecKernel, stagingFits } from '../../kernels/matvec';
import { mergeKernel } from '../../kernels/merge';
import { normKernel } from '../../kernels/norm';
import { projectionNormKernel } from '../../kernels/projection-norm';
import { type KernelShapes, roleOf } from '../../kernels/variants';
import { LORA_BUFFER, type StepAdapter, type StepAdapters, weightsOf } from '../../memory/adapted';
import { logitsStride, ropeBuffer, STREAM_LOGITS } from '../../memory/gpu-scratch';
import { type KvPart, type KvType, kvBuffer } from '../../memory/kv';
import { type DeviceMatrix, matrixBuffers } from '../../memory/layout';
import { biasBuffer, gateUpFused, type ModelGraph } from '../../memory/plan';
import type { Step, StepOf } from '../../model/steps';
import { lowerInt8Rows, lowerMatmul } from './lower-matmul';
import { type Buffers, type Op, op, type Stage } from './op';

type LinearBinding = keyof typeof MATVEC.bindings;

export interface LowerOptions {
  model: ModelGraph;
  matrices: readonly DeviceMatrix[];
  adapters: StepAdapters;
  shapes: KernelShapes;
  kv: KvType;
  /** which heads each layer's KV buffers hold */
  parts: readonly (readonly KvPart[])[];
  profile: DeviceProfile;
}

/**
 * 'together': a token of each of several answers; the dispatches of attention are there once, for each of them to be
 * bound to its own rings and its own buffers (memory/gpu-scratch.ts, streamBuffer).
 */
export type Mode = 'decode' | 'prefill' | 'together';

/** Dispatches of a token (decode), of a chunk of tokens, or of a token of each of several answers; the head's last. */
export function lower(options: LowerOptions, mode: Mode): Op[] {
  return new Lowering(options, mode).run();
}

/** What a kernel does to get its input, and the buffers it is in. */
interface LinearInput {
  fusion: Pick<LinearFusion, 'norm' | 'merge' | 'last'>;
  buffers: Buffers<LinearBinding>;
}

class Lowering {
  readonly #options: LowerOptions;
  readonly #mode: Mode;
  readonly #ops: Op[] = [];
  /** a norm whose only reader is the linear step that follows */
  #norm: StepOf<'norm'> | null = null;
  #rotate: StepOf<'rotate'> | null = null;
  /** the biases of q, k and v, where int8 keys are kept without theirs: a norm that comes after keeps it in */
  #keyBias: string | null = null;
  /** attention's output waits in `partials`: finished rows, or parts for the matvec to merge */
  #partials: 'rows' | 'parts' | null = null;
  /** the linear step before this one applied the activation itself */
  #gateFused = false;
  /** of the step that is lowered */
  #stage: Stage = 'layers';

  constructor(options: LowerOptions, mode: Mode) {
    this.#options = options;
    this.#mode = mode;
  }

  run(): Op[] {
    const { steps } = this.#options.model;
    for (const [i, step] of steps.entries()) this.#step(step, steps[i + 1]);
    return this.#ops;
  }

  /** The buffer of a norm's weight: an adapter's, where one brings it. */
  #vector<T extends string | null>(step: Step, name: T): string | T {
    return this.#options.adapters.get(step)?.vectors.get(name ?? '')?.name ?? name;
  }

  #push<B extends string>(...of: Parameters<typeof op<B>>): void {
    this.#pushAll([op(...of)]);
  }

  #pushAll(ops: readonly Op[]): void {
    this.#ops.push(...ops.map((one) => ({ ...one, stage: this.#stage })));
  }

  #step(step: Step, next: Step | undefined): void {
    switch (step.op) {
      case 'embed':
        this.#embed(step);
        return;
      case 'norm': {
        const norm = { ...step, weight: this.#vector(step, step.weight) };
        // of a model without a head, which nobody's layers follow
        if (!next) this.#stage = 'head';
        if (next?.op === 'linear' && next.in === step.out && this.#usesMatvec(next)) this.#norm = norm;
        else this.#normOp(norm, next);
        return;
      }
      case 'linear':
        if (step.lastOnly) this.#stage = 'head';
        this.#linear(step, next);
        return;
      case 'rotate': {
        const rotate = { ...step, qNorm: this.#vector(step, step.qNorm), kNorm: this.#vector(step, step.kNorm) };
        if (step.kNorm) this.#keyBias = null;
        this.#rotate = step.normOver === 'projection' ? this.#projectionNorm(rotate) : rotate;
        return;
      }
      case 'append':
        this.#append(step.layer);
        return;
      case 'attend':
        if (step.layer === this.#options.model.spec.layers.length - 1) this.#stage = 'tail';
        this.#attend(step, next);
        return;
      case 'activate':
        if (!this.#gateFused) {
          this.#push(
            activateKernel(step.width, step.activation),
            { x: 'gateUp', out: 'mlp', state: 'state' },
            (tokens) => activateGroups(step.width, tokens),
          );
        }
        return;
      case 'add':
        // It went with the norm before it.
        return;
    }
  }

  #embed(step: StepOf<'embed'>): void {
    const gather = (matrices: readonly DeviceMatrix[], scale: number, out: string) => {
      for (const matrix of matrices) {
        this.#push(
          embedKernel(matrix, scale, this.#options.shapes.matvec.table),
          { ...matrixBuffers(matrix), ids: 'ids', out, state: 'state' },
          (tokens) => [embedGroups(matrix.cols, tokens)],
        );
      }
    };
    gather(this.#matricesOf(step, [step.table]), step.scale, 'x');
    const adapter = this.#options.adapters.get(step);
    if (!adapter) return;
    gather(adapter.a, 1, LORA_BUFFER);
    const fusion = { scale: step.scale, outputStride: step.width };
    this.#addAdapter(adapter.b, fusion, 'x', this.#mode === 'decode');
  }

  /** A norm by itself, with the residual add where that is what follows. */
  #normOp(step: StepOf<'norm'>, next: Step | undefined): void {
    const add = next?.op === 'add' && next.in === step.out ? next : null;
    this.#push(
      normKernel(step.width, step.eps, step.offset, add?.scale),
      { x: step.in, norm_weight: step.weight, out: add?.out ?? step.out, state: 'state' },
      (tokens) => [tokens],
    );
  }

  /** Norms q and k by themselves, so that what is left to rotate has none. */
  #projectionNorm(step: StepOf<'rotate'>): StepOf<'rotate'> {
    const { qNorm, kNorm, eps, offset } = step;
    if (!qNorm || !kNorm) return step;
    this.#push(
      projectionNormKernel(this.#options.model.spec, eps, offset),
      { qkv: 'qkv', q_norm: qNorm, k_norm: kNorm, state: 'state' },
      (tokens) => [tokens, 2],
    );
    return { ...step, qNorm: null, kNorm: null };
  }

  /** One token's product: always in decode, and for the head of a prefill, which needs the last token only. */
  #usesMatvec(step: StepOf<'linear'>): boolean {
    return this.#mode === 'decode' || (step.lastOnly && this.#mode === 'prefill');
  }

  /** Layer by layer: in a checkpoint of mixed types gate and up are one matrix in some and two in others. */
  #gated(gate: StepOf<'linear'>): boolean {
    const { model, matrices } = this.#options;
    return !biasBuffer(gate) && gateUpFused(matrices, model.spec, gate.parts[0].name);
  }

  #matricesOf(step: Step, names: readonly string[]): DeviceMatrix[] {
    return weightsOf(this.#options.matrices, this.#options.adapters.get(step), names);
  }

  #linear(step: StepOf<'linear'>, next: Step | undefined): void {
    const { spec } = this.#options.model;
    const matvec = this.#usesMatvec(step);
    const adapter = this.#options.adapters.get(step);
    const gates = step.out === 'gateUp' && next?.op === 'activate' && !adapter && this.#gated(step);
    const gated = gates ? next.activation : undefined;
    this.#gateFused = gated !== undefined;
    const bias = adapter?.biases?.buffer ?? biasBuffer(step);
    if (step.out === 'qkv') this.#keyBias = this.#options.kv === 'int8' ? bias : null;
    const input = this.#input(step, matvec);
    const fusion: LinearFusion = {
      ...input.fusion,
      gated,
      bias: bias !== null,
      multiplier: adapter?.multiplier,
      accumulate: step.accumulate,
      scale: step.scale,
      softcap: step.softcap,
      outputStride: gated ? spec.mlpWidth : step.parts.reduce((rows, part) => rows + part.rows, 0),
    };
    let out: string = gated ? 'mlp' : step.out;
    if (out === 'logits' && !matvec) {
      out = STREAM_LOGITS;
      fusion.outputStride = logitsStride(spec.vocab);
    }
    const shape = this.#matvecShape(step);
    const role = roleOf(step);
    const name = role === 'head' ? 'logits' : role;
    const matrices = this.#matricesOf(
      step,
      step.parts.map((part) => part.name),
    );
    if (!matvec) this.#pushAll(lowerInt8Rows(step, matrices, this.#options.shapes));
    for (const matrix of matrices)
      this.#product(matrix, fusion, { ...input.buffers, out, ...(bias ? { bias } : {}) }, matvec && shape, name);
    if (adapter) this.#adapt(step, adapter, input, matvec, { buffer: out, stride: fusion.outputStride });
    this.#norm = null;
    this.#partials = null;
  }

  #matvecShape(step: StepOf<'linear'>): MatvecShape {
    const { head, by, matvec } = this.#options.shapes;
    const role = roleOf(step);
    return role === 'head' ? head : (by?.[role] ?? matvec);
  }

  #input(step: StepOf<'linear'>, matvec: boolean): LinearInput {
    const { spec } = this.#options.model;
    const last = step.lastOnly && matvec;
    const norm = this.#norm;
    return {
      fusion: {
        norm: norm ? { eps: norm.eps, offset: norm.offset } : undefined,
        merge:
          this.#partials === 'parts'
            ? { heads: spec.heads, headSize: spec.headSize, splits: this.#splits() }
            : undefined,
        last,
      },
      buffers: {
        x: norm ? norm.in : this.#partials ? 'partials' : step.in,
        ...(norm ? { norm_weight: norm.weight } : {}),
      },
    };
  }

  /** One matrix times one token (with the shape of a matvec) or many. */
  #product(
    matrix: DeviceMatrix,
    fusion: LinearFusion,
    buffers: Buffers<LinearBinding>,
    matvec: MatvecShape | false,
    name: string,
  ): void {
    const placed = { ...fusion, outputRow: matrix.outputRow, calledOff: matvec !== false };
    const rows = fusion.gated ? matrix.rows / 2 : matrix.rows;
    const bindings = { ...matrixBuffers(matrix), ...buffers, state: 'state' };
    if (matvec) {
      const { bytes } = this.#options.profile.workgroup;
      const kernel = matvecKernel(matrix, placed, matvec, `matvec ${name}`, bytes);
      this.#push(kernel, bindings, () => [matvecGroups(rows, matvec)]);
    } else this.#pushAll(lowerMatmul(matrix, placed, bindings, this.#options.shapes, `matmul ${name}`));
  }

  /** Two products more: A of the same input, and B of that onto the step's output. */
  #adapt(
    step: StepOf<'linear'>,
    { a, b, rank }: StepAdapter,
    input: LinearInput,
    matvec: boolean,
    out: { buffer: string; stride: number },
  ): void {
    for (const matrix of a) {
      const fusion = { ...input.fusion, outputStride: rank };
      this.#product(
        matrix,
        fusion,
        { ...input.buffers, out: LORA_BUFFER },
        matvec && this.#options.shapes.matvec,
        'lora a',
      );
    }
    this.#addAdapter(b, { scale: step.scale, outputStride: out.stride }, out.buffer, matvec);
  }

  /** out += scale * B t, t being in LORA_BUFFER */
  #addAdapter(b: readonly DeviceMatrix[], fusion: LinearFusion, out: string, matvec: boolean): void {
    // B has many rows and next to no columns, so that lanes that share a row would idle.
    const { lanes, table } = this.#options.shapes.matvec;
    const shape: MatvecShape = { lanes: lanes === 'even' ? lanes : 64, slices: 1, tile: 1, table };
    for (const matrix of b) {
      const buffers = { x: LORA_BUFFER, out };
      this.#product(matrix, { ...fusion, accumulate: true }, buffers, matvec && shape, 'lora b');
    }
  }

  #headShape(): HeadShape {
    const rotate = this.#rotate as StepOf<'rotate'>;
    return {
      rope: rotate.rope,
      norm: rotate.qNorm ? { eps: rotate.eps, offset: rotate.offset } : null,
      kv: this.#options.kv,
      keyBias: this.#keyBias !== null,
    };
  }

  /** What append and attend both read and write, with the norms of the heads that they make. */
  #headBuffers(layer: number, part: number, norms: readonly ('q' | 'k')[]): Buffers<keyof typeof HEAD_BINDINGS> {
    const { rope, qNorm, kNorm } = this.#rotate as StepOf<'rotate'>;
    return {
      qkv: 'qkv',
      keys: kvBuffer(layer, 'k', part),
      values: kvBuffer(layer, 'v', part),
      state: 'state',
      ...(rope ? { frequencies: ropeBuffer(this.#options.model.spec, rope) } : {}),
      ...(qNorm && norms.includes('q') ? { q_norm: qNorm } : {}),
      ...(kNorm && norms.includes('k') ? { k_norm: kNorm } : {}),
      ...(this.#keyBias ? { bias: this.#keyBias } : {}),
    };
  }

  /** Of a prefill: for one token, attention appends. */
  #append(layer: number): void {
    if (this.#mode !== 'prefill') return;
    const { model, parts } = this.#options;
    for (const [i, part] of parts[layer].entries()) {
      this.#push(
        appendKernel(model.spec, this.#headShape(), part),
        this.#headBuffers(layer, i, ['k']),
        (tokens) => appendGroups(part, tokens),
        layer,
      );
    }
  }

  #attend({ layer, scale, softcap, window }: StepOf<'attend'>, next: Step | undefined): void {
    const { model, parts, shapes, profile } = this.#options;
    const { spec } = model;
    const shape = { ...this.#headShape(), scale, softcap, window };
    const { decode, prefill } = shapes.attend;
    for (const [i, part] of parts[layer].entries()) {
      if (this.#mode !== 'prefill')
        this.#push(
          decodeAttendKernel(spec, shape, part, decode, profile),
          { ...this.#headBuffers(layer, i, ['q', 'k']), out: 'partials' },
          decodeAttendGroups(spec, part, decode, layer),
          layer,
        );
      else
        this.#push(
          prefillAttendKernel(spec, shape, part, prefill, profile),
          { ...this.#headBuffers(layer, i, ['q']), out: 'attn' },
          prefillAttendGroups(spec, shape, part, prefill, profile),
          layer,
        );
    }
    if (this.#mode === 'together')
      this.#push(
        mergeKernel(spec, this.#splits(), true),
        { x: 'partials', state: 'state', out: 'attn' },
        () => mergeRowGroups(spec),
        layer,
      );
    if (this.#mode !== 'decode') return;
    this.#partials = this.#mergesInside(next) ? 'parts' : 'rows';
    if (this.#partials === 'rows')
      this.#push(
        mergeKernel(spec, this.#splits()),
        { x: 'partials', state: 'state' },
        mergeGroups(spec, decode, layer),
      );
  }

  /** The most parts of decode attention. */
  #splits(): number {
    return mostSplits(this.#options.model.spec, this.#options.shapes.attend.decode);
  }

  /** The merged rows and the slices' sums must fit workgroup memory together. */
  #mergesInside(next: Step | undefined): boolean {
    const { model, shapes, profile } = this.#options;
    const { heads, headSize, qkNorm } = model.spec;
    // Norms over all of q and k take a dispatch more, which the merge then saves.
    if (shapes.attend.decode.merge !== 'inside' && qkNorm !== 'projection') return false;
    if (next?.op !== 'linear') return false;
    const names = next.parts.map((part) => part.name);
    const merge = { heads, headSize, splits: this.#splits() };
    return this.#matricesOf(next, names).every((matrix) =>
      stagingFits(matrix, { merge, outputStride: matrix.rows }, this.#matvecShape(next), profile.workgroup.bytes),
    );
  }
}
