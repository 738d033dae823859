/**
 * The executor without a GPU: in plain JavaScript the reference that kernels and whole models are checked against, and
 * the product's fallback, whose products and attention run in WebAssembly where it may (arithmetic.ts). One interpreter
 * of the list of steps; every array has the plan's size. It is long because every step has its case here.
 */
import { NibbleError, throwIfAborted } from '../../errors';
import { type ActiveAdapters, LORA_BUFFER } from '../../memory/adapted';
import { CPU_CHUNK, cpuStreams } from '../../memory/cpu-scratch';
import { activationWidths, type MemoryPlan, type ModelGraph, NO_LIMITS, planMemory } from '../../memory/plan';
import { frequenciesFor } from '../../model/rope';
import type { Step, StepOf } from '../../model/steps';
import { yieldToEvents } from '../../platform/yield-to-events';
import { checkHead, checkPosition, checkPrompt } from '../check-prompt';
import type {
  Executor,
  ExecutorStats,
  KvCache,
  MemoryReport,
  PrefillOptions,
  Reading,
  Stream,
  Streams,
  WeightSink,
} from '../executor';
import { idsOf, type PackedPiece, packed, TEXTS_AT_ONCE } from '../pack';
import { emptyRows, isLastOnly, type Pooled, poolStates } from '../pooling';
import { sampleToken } from '../sampler/chain';
import { logprobsOf } from '../sampler/logprobs';
import { checkIds, nextDraft, type SampleOptions } from '../sampler/options';
import { StepRules } from '../sampler/step-rules';
import { type CpuAdapter, type CpuAdapters, fillAdapters, NO_ADAPTERS } from './adapters';
import { asOutOfMemory, type CpuScratch, createScratch, outOfMemoryAsError } from './allocate';
import { type Arithmetic, arithmetic, type Computing, inJavaScript } from './arithmetic';
import { add, embed, lastRow, normHeads, rmsNorm, turnHead, turnsOf } from './kernels';
import { CpuKvCache } from './kv-cache';
import { append, type KeyBias } from './kv-ring';
import type { LinearRun } from './linear-run';
import type { CpuMatrix } from './matrix';
import type { Threads } from './team';
import { CpuWeights } from './weights';

/** The event loop gets a turn this often, ms, or as soon as the piece that runs has ended; see time-slice.ts. */
const TURN_MS = 50;

/**
 * Allocates weights and scratch; reserve() allocates the KV cache.
 * @param plan made for the target 'cpu'; its prefill chunk bounds the tokens of one pass
 * @param threads that may compute at once; absent: one. The plan has room for as many
 * @param way of computing; absent: the better that runs here
 * @throws out-of-memory
 */
export function createCpuExecutor(
  model: ModelGraph,
  plan: MemoryPlan,
  threads?: Threads,
  way: Arithmetic = arithmetic(),
): Executor {
  return outOfMemoryAsError(plan, () => new CpuExecutor(model, plan, way.open(plan.banks, threads)));
}

/** Tokens of a pass that stand one behind the other in a conversation. */
interface Stretch {
  cache: CpuKvCache;
  /** the first of them in the pass, and how many there are */
  row: number;
  tokens: number;
  /** position of the first */
  start: number;
}

/** One pass over the list: as many tokens as there are ids, which the stretches share out among conversations. */
interface Pass {
  ids: ArrayLike<number>;
  tokens: number;
  stretches: readonly Stretch[];
  /** of which tokens the steps run that follow the last layer's keys and values */
  rest: 'all' | 'last' | 'none';
  /** by frequencies, what turns a head at the position of each token */
  turns: Map<readonly number[], Float64Array[]>;
  /** of the layer that runs: where its keys came from, and their bias, by stretch */
  qkv?: StepOf<'linear'>;
  keyBiases: (KeyBias | null)[];
}

/** The last token of a pass, as a pass. */
function lastOf(pass: Pass): Pass {
  const { cache, start, tokens } = pass.stretches[pass.stretches.length - 1];
  return { ...pass, tokens: 1, stretches: [{ cache, row: 0, tokens: 1, start: start + tokens - 1 }] };
}

class CpuExecutor implements Executor {
  readonly backend = 'cpu';
  readonly sink: WeightSink;
  private readonly weights: CpuWeights;
  private readonly activations: Record<string, Float32Array> = {};
  private readonly plan: MemoryPlan;
  private scratch: CpuScratch;
  private adapters: CpuAdapters = NO_ADAPTERS;
  private readonly chunk: number;
  private readonly caches = new Set<CpuKvCache>();
  /** logits of answers that are decoded together, [answers, vocab] */
  private readonly streams = new Set<Float32Array>();
  private hasLogits = false;
  private lastTurn = 0;
  /** bytes, the highest total so far */
  private peak = 0;

  constructor(
    private readonly model: ModelGraph,
    plan: MemoryPlan,
    private computing: Computing,
  ) {
    this.plan = plan;
    this.weights = new CpuWeights(model, plan, computing.banks);
    this.sink = this.weights.sink;
    const planned = new Map(plan.buffers.map(({ name, bytes }) => [name, bytes]));
    for (const name of [...activationWidths(model).keys(), 'logits']) {
      this.activations[name] = new Float32Array(planned.get(name)! / 4);
    }
    this.scratch = createScratch(model, plan, 0);
    this.chunk = Math.min(plan.request.chunk, CPU_CHUNK);
    this.note();
  }

  /** A step's, or an adapter's in its place. */
  private matrix(name: string, adapter?: Pick<CpuAdapter, 'matrices'>): CpuMatrix {
    return adapter?.matrices.get(name) ?? this.weights.matrix(name);
  }

  private vector(name: string, step?: Step): Float32Array {
    return (step && this.adapters.steps.get(step)?.vectors.get(name)) ?? this.weights.vector(name);
  }

  async setAdapters(active: ActiveAdapters | null): Promise<void> {
    const plan = planMemory({ ...this.model, adapted: active?.steps }, this.plan.request, NO_LIMITS, 'cpu');
    try {
      const adapters = active
        ? await fillAdapters(active, plan.adapters, (own) => this.weights.base(own))
        : NO_ADAPTERS;
      const products = plan.buffers.find(({ name }) => name === LORA_BUFFER);
      const between = new Float32Array((products?.bytes ?? 0) / 4);
      this.scratch = createScratch(this.model, plan, Math.max(0, ...(active?.steps ?? []).map(({ rank }) => rank)));
      this.activations[LORA_BUFFER] = between;
      this.adapters = adapters;
    } catch (cause) {
      throw asOutOfMemory(plan, cause);
    }
    this.hasLogits = false;
    this.note();
  }

  createCache(): KvCache {
    const cache: CpuKvCache = new CpuKvCache(this.model.spec, {
      note: (extra) => this.note(extra),
      dispose: () => this.caches.delete(cache),
    });
    this.caches.add(cache);
    return cache;
  }

  private own(cache: KvCache): CpuKvCache {
    if (cache instanceof CpuKvCache && this.caches.has(cache)) return cache;
    throw new Error('a cache of another executor, or one that was freed');
  }

  async prefill(
    into: KvCache,
    ids: ArrayLike<number>,
    start: number,
    { signal, onLogits, onProgress, logits = true }: PrefillOptions = {},
  ): Promise<void> {
    checkHead(this.model.spec);
    for (const pieces of this.pieces([{ cache: into, ids, start }])) {
      const [{ at, tokens, ends }] = pieces;
      const rest = onLogits ? 'all' : ends && logits ? 'last' : 'none';
      await this.passOf(pieces, rest, signal);
      for (let row = 0; onLogits && row < tokens; row++) {
        await this.head(row, signal);
        onLogits(start + at + row, this.activations.logits);
      }
      if (rest === 'last') await this.head(0, signal);
      onProgress?.(at + tokens);
    }
    this.hasLogits = logits;
  }

  async *decode(
    into: KvCache,
    start: number,
    count: number,
    sample: SampleOptions,
    signal?: AbortSignal,
  ): AsyncGenerator<number> {
    const cache = this.own(into);
    const { vocab } = this.model.spec;
    checkIds(sample, vocab);
    const rules = new StepRules(sample, vocab);
    /** ids of the newest pass behind its first, until they are drawn or something else is */
    let drafted: number[] = [];
    let row = 0;
    for (let step = 0; step < count; step++) {
      throwIfAborted(signal);
      const state = { history: rules.history, ...(await rules.next(step)) };
      // other adapters take them away, in the middle of an answer too
      this.checkLogits();
      const { logits } = this.activations;
      const id = sampleToken(logits, sample, (sample.firstStep ?? 0) + step, state);
      rules.history.push(id);
      if (sample.logprobs !== undefined) sample.onLogprobs?.(logprobsOf(logits, id, sample.logprobs));
      yield id;
      if (step + 1 === count || sample.stopIds?.includes(id)) break;
      if (drafted[0] === id) {
        drafted.shift();
        row++;
      } else {
        drafted = nextDraft(sample, Math.min(this.chunk - 1, count - step - 2), vocab);
        row = 0;
        const ids = [id, ...drafted];
        const stretches = [{ cache, row: 0, tokens: ids.length, start: start + step }];
        await this.pass({ ids, tokens: ids.length, stretches, rest: 'all' }, signal);
      }
      await this.head(row, signal);
    }
  }

  async pool(
    texts: readonly Reading[],
    pooled: Pooled,
    { signal }: Pick<PrefillOptions, 'signal'> = {},
  ): Promise<Float32Array[]> {
    const { width } = this.model.spec;
    const found = texts.map(() => emptyRows(pooled, width));
    for await (const pieces of this.read(texts, isLastOnly(pooled), signal))
      for (const { index, row, tokens, position } of pieces)
        poolStates(found[index], pooled, width, this.activations.h.subarray(row * width), tokens, position);
    return found;
  }

  async score(texts: readonly Reading[], { signal }: Pick<PrefillOptions, 'signal'> = {}): Promise<Float64Array[]> {
    checkHead(this.model.spec);
    const found = texts.map(({ ids }) => new Float64Array(Math.max(0, ids.length - 1)));
    for await (const pieces of this.read(texts, false, signal))
      for (const { index, text, row, tokens, at } of pieces)
        for (let t = 0; t < tokens && at + t < found[index].length; t++) {
          await this.head(row + t, signal);
          found[index][at + t] = logprobsOf(this.activations.logits, text.ids[at + t + 1], 0).logprob;
        }
    return found;
  }

  async nextLogits(
    texts: readonly Reading[],
    ids: readonly number[],
    { signal }: Pick<PrefillOptions, 'signal'> = {},
  ): Promise<Float32Array[]> {
    checkHead(this.model.spec);
    const found: Float32Array[] = [];
    for await (const pieces of this.read(texts, true, signal))
      for (const { index, row } of pieces) {
        await this.head(row, signal);
        found[index] = Float32Array.from(ids, (id) => this.activations.logits[id]);
      }
    return found;
  }

  /**
   * The passes of texts: what of each has its hidden states in `h`, from the row `row` on.
   * @param lastOnly whether nothing but each text's last token is wanted
   */
  private async *read(texts: readonly Reading[], lastOnly: boolean, signal?: AbortSignal) {
    for (const pieces of this.pieces(texts)) {
      const ended = pieces.filter(({ ends }) => ends);
      const rest = !lastOnly ? 'all' : ended.length === 0 ? 'none' : pieces.length === 1 ? 'last' : 'all';
      await this.passOf(pieces, rest, signal);
      yield lastOnly
        ? ended.map((piece) => {
            const row = rest === 'last' ? 0 : piece.row + piece.tokens - 1;
            return { ...piece, row, tokens: 1, position: piece.text.start + piece.text.ids.length - 1 };
          })
        : pieces.map((piece) => ({ ...piece, position: piece.text.start + piece.at }));
    }
  }

  /** Texts, checked, by the passes that they share; the logits that were there are no longer. */
  private *pieces(texts: readonly Reading[]) {
    const own = texts.map((text) => ({ ...text, cache: this.own(text.cache) }));
    for (const { ids } of texts) checkPrompt(ids, this.model.spec.vocab);
    this.hasLogits = false;
    yield* packed(own, this.chunk, TEXTS_AT_ONCE);
  }

  private passOf(
    pieces: readonly PackedPiece<Reading & { cache: CpuKvCache }>[],
    rest: Pass['rest'],
    signal?: AbortSignal,
  ): Promise<void> {
    const stretches = pieces.map(({ text, at, row, tokens }) => {
      return { cache: text.cache, row, tokens, start: text.start + at };
    });
    const ids = idsOf(pieces);
    return this.pass({ ids, tokens: ids.length, stretches, rest }, signal);
  }

  async logits(ids?: readonly number[]): Promise<Float32Array> {
    this.checkLogits();
    const { logits } = this.activations;
    return ids ? Float32Array.from(ids, (id) => logits[id]) : logits.slice();
  }

  private checkLogits(): void {
    if (!this.hasLogits) throw new NibbleError('invalid-option', 'There are no logits yet; run a prompt first.');
  }

  async openStreams(most: number): Promise<Streams> {
    const streams = cpuStreams(most, this.chunk);
    const logits = outOfMemoryAsError(this.plan, () => new Float32Array(streams * this.model.spec.vocab));
    this.streams.add(logits);
    this.note();
    return {
      most: streams,
      decode: (answers, signal) => this.decodeTogether(answers, logits, signal),
      close: () => this.streams.delete(logits),
    };
  }

  /** @param logits of all of them, [streams, vocab] */
  private async *decodeTogether(
    answers: readonly Stream[],
    logits: Float32Array,
    signal?: AbortSignal,
  ): AsyncGenerator<number[]> {
    checkHead(this.model.spec);
    const { vocab } = this.model.spec;
    const all = answers.map(({ sample, ...answer }) => {
      checkIds(sample, vocab);
      return { ...answer, sample, cache: this.own(answer.cache), rules: new StepRules(sample, vocab) };
    });
    const steps = Math.min(...all.map(({ count }) => count));
    this.hasLogits = false;
    for (let step = 0, ends = false; step < steps && !ends; step++) {
      const stretches = all.map(({ cache, start }, row) => ({ cache, row, tokens: 1, start: start - 1 + step }));
      const ids = all.map(({ last }) => last);
      await this.pass({ ids, tokens: all.length, stretches, rest: 'all' }, signal);
      await this.heads(0, all.length, logits, signal);
      for (const [row, answer] of all.entries()) {
        const { sample, rules } = answer;
        const own = logits.subarray(row * vocab, (row + 1) * vocab);
        const state = { history: rules.history, ...(await rules.next(step)) };
        const id = sampleToken(own, sample, (sample.firstStep ?? 0) + step, state);
        rules.history.push(id);
        if (sample.logprobs !== undefined) sample.onLogprobs?.(logprobsOf(own, id, sample.logprobs));
        if (sample.stopIds?.includes(id)) ends = true;
        answer.last = id;
      }
      yield all.map(({ last }) => last);
      throwIfAborted(signal);
    }
  }

  /** All but the head. */
  private async pass(asked: Omit<Pass, 'turns' | 'keyBiases'>, signal?: AbortSignal): Promise<void> {
    const pass: Pass = { ...asked, turns: new Map(), keyBiases: [] };
    for (const { cache, start, tokens } of pass.stretches) checkPosition(start + tokens, cache.capacity);
    this.note();
    for (const { cache, start, tokens } of pass.stretches) cache.held.write(start, start + tokens - 1);
    const { spec, steps } = this.model;
    const layers = steps.findLastIndex(({ op }) => op === 'append') + 1;
    for (const step of steps.slice(0, layers)) await this.inTurns(this.run(step, pass), signal);
    if (pass.rest === 'none') return;
    if (pass.rest === 'last') lastRow(this.activations, spec, pass.tokens);
    const rest = pass.rest === 'last' ? lastOf(pass) : pass;
    for (const step of steps.slice(layers)) await this.inTurns(this.run(step, rest), signal);
  }

  /** Logits of one token of the last pass. */
  private head(row: number, signal?: AbortSignal): Promise<void> {
    return this.heads(row, 1, this.activations.logits, signal);
  }

  /** Logits of some tokens of the last pass, from `row` on. */
  private async heads(row: number, tokens: number, logits: Float32Array, signal?: AbortSignal): Promise<void> {
    for (const step of this.model.steps)
      if (step.op === 'linear' && step.lastOnly) await this.inTurns(this.runLinear(step, row, tokens, logits), signal);
  }

  private async inTurns(pieces: Iterable<number>, signal?: AbortSignal): Promise<void> {
    await this.turn(signal);
    for (const _ of pieces) await this.turn(signal);
  }

  private async turn(signal?: AbortSignal): Promise<void> {
    if (performance.now() - this.lastTurn > TURN_MS) {
      await yieldToEvents();
      this.lastTurn = performance.now();
    }
    throwIfAborted(signal);
  }

  private *run(step: Step, pass: Pass): Generator<number, void> {
    const { spec } = this.model;
    const { tokens, stretches, keyBiases } = pass;
    const { activations, scratch } = this;
    const { qkv, attn } = activations;
    const qkvWidth = (spec.heads + 2 * spec.kvHeads) * spec.headSize;
    switch (step.op) {
      case 'embed':
        yield* this.runEmbed(step, pass);
        break;
      case 'norm':
        for (let t = 0; t < tokens; t++) {
          rmsNorm(
            activations[step.in],
            activations[step.out],
            t * step.width,
            this.vector(step.weight, step),
            step.width,
            step.eps,
            step.offset,
          );
        }
        break;
      case 'linear':
        if (!step.lastOnly) yield* this.runLinear(step, 0, tokens);
        if (step.out === 'qkv') pass.qkv = step;
        break;
      case 'rotate':
        pass.keyBiases = stretches.map((stretch) => this.biasOfKeys(step, stretch, pass));
        for (const stretch of stretches)
          for (let t = 0; t < stretch.tokens; t++) this.rotate(step, qkvWidth, t, stretch, pass);
        break;
      case 'append':
        for (const [i, { cache, row, start, tokens }] of stretches.entries())
          for (let t = 0; t < tokens; t++) {
            const at = (row + t) * qkvWidth + spec.heads * spec.headSize;
            append(cache.rings[step.layer], start + t, qkv, at, keyBiases[i] ?? null, scratch.attend);
          }
        break;
      case 'attend': {
        const { heads, kvHeads, headSize } = spec;
        const shape = { ...step, heads, kvHeads, headSize };
        for (const [i, { cache, row, start, tokens }] of stretches.entries()) {
          const [ring, bias] = [cache.rings[step.layer], keyBiases[i] ?? null];
          const [from, to] = [qkv.subarray(row * qkvWidth), attn.subarray(row * heads * headSize)];
          yield* this.computing.attend(shape, ring, from, start, tokens, to, scratch.attend, bias);
        }
        break;
      }
      case 'activate':
        this.computing.activate(activations.gateUp, activations.mlp, tokens, step.width, step.activation);
        break;
      case 'add':
        add(activations[step.in], activations[step.out], tokens * step.width, step.scale);
        break;
    }
  }

  /** The bias that a layer's int8 keys are kept without; null where there is none, or a norm comes after it. */
  private biasOfKeys({ layer, rope, kNorm }: StepOf<'rotate'>, { cache }: Stretch, { qkv }: Pass): KeyBias | null {
    if (cache.rings[layer].type !== 'int8' || kNorm || !qkv) return null;
    const { heads, kvHeads, headSize } = this.model.spec;
    const { parts } = qkv;
    // q, k and v are three parts or one: the keys are within one of them.
    let at = heads * headSize;
    let part = 0;
    while (at >= parts[part].rows) at -= parts[part++].rows;
    const values = this.biases(qkv)[part]?.subarray(at, at + kvHeads * headSize);
    return values ? { values, rope, frequencies: rope ? frequenciesFor(rope, cache.reach) : [] } : null;
  }

  private *runEmbed(step: StepOf<'embed'>, { ids, tokens }: Pass): Generator<number, void> {
    const { x, [LORA_BUFFER]: products } = this.activations;
    const { tile } = this.scratch;
    const adapter = this.adapters.steps.get(step);
    embed(this.matrix(step.table, adapter), ids, tokens, step.scale, x, tile);
    const product = adapter?.product;
    if (!product) return;
    embed(product.a, ids, tokens, 1, products, tile);
    yield* this.addProduct(product.b, step.scale, x, tokens);
  }

  /** By part of the step; an adapter's own take the place of the model's. */
  private biases(step: StepOf<'linear'>): (Float32Array | null)[] {
    const own = this.adapters.steps.get(step)?.biases;
    return own ?? step.parts.map((part) => (part.bias ? this.vector(part.bias) : null));
  }

  /** @param row the first of so many tokens; their output is written from its beginning */
  private *runLinear(
    step: StepOf<'linear'>,
    row: number,
    tokens: number,
    output = this.activations[step.out],
  ): Generator<number, void> {
    const adapter = this.adapters.steps.get(step);
    const run: LinearRun = {
      step,
      matrices: step.parts.map((part) => this.matrix(part.name, adapter)),
      biases: this.biases(step),
      factors: adapter?.factors,
      input: this.activations[step.in],
      inputAt: row * step.cols,
      output,
      tokens,
    };
    yield* this.product(run);
    if (!adapter?.product) return;
    const { a, b } = adapter.product;
    const plain = { cols: step.cols, accumulate: false, scale: 1, softcap: null };
    const between = this.activations[LORA_BUFFER];
    yield* this.product({ ...run, step: plain, matrices: [a], biases: [null], factors: undefined, output: between });
    yield* this.addProduct(b, step.scale, run.output, run.tokens);
  }

  /** output += scale * B t, t being the adapters' products A x. */
  private addProduct(b: CpuMatrix, scale: number, output: Float32Array, tokens: number): Generator<number, void> {
    const step = { cols: b.cols, accumulate: true, scale, softcap: null };
    const input = this.activations[LORA_BUFFER];
    return this.product({ step, matrices: [b], biases: [null], input, inputAt: 0, output, tokens });
  }

  private product(run: LinearRun): Generator<number, void> {
    return this.computing.linear(run, this.scratch);
  }

  /** Norms and turns the query and key heads of token `t` of a stretch. @param width of a row of qkv */
  private rotate(
    step: StepOf<'rotate'>,
    width: number,
    t: number,
    { cache, row, start }: Stretch,
    { turns }: Pass,
  ): void {
    const { heads, kvHeads, headSize } = this.model.spec;
    const { qkv } = this.activations;
    const { rope, qNorm, kNorm } = step;
    const at = (row + t) * width;
    if (qNorm) normHeads(qkv, at, heads, headSize, this.vector(qNorm, step), step);
    if (kNorm) normHeads(qkv, at + heads * headSize, kvHeads, headSize, this.vector(kNorm, step), step);
    if (!rope) return;
    const frequencies = frequenciesFor(rope, cache.reach);
    // sines take longer than all else of this step, and most layers have the same
    const all = turns.get(frequencies) ?? [];
    turns.set(frequencies, all);
    all[row + t] ??= turnsOf(start + t, rope, frequencies);
    for (let h = 0; h < heads + kvHeads; h++) turnHead(qkv, at + h * headSize, all[row + t]);
  }

  /** Updates the peak; `extra` bytes exist for a moment. */
  private note(extra = 0): void {
    this.peak = Math.max(this.peak, this.memory().total + extra);
  }

  memory(): MemoryReport {
    const sum = (arrays: Iterable<{ byteLength: number }>) =>
      [...arrays].reduce((bytes, array) => bytes + array.byteLength, 0);
    const { steps, wholeBytes } = this.adapters;
    const weights = [...steps.values()].reduce(
      (bytes, adapter) => bytes + adapter.bytes,
      this.weights.bytes + wholeBytes,
    );
    const kv = [...this.caches].reduce((bytes, cache) => bytes + cache.bytes, 0);
    const rest = this.computing.banks.reduce((bytes, { plan }) => bytes + plan.rest, 0);
    const working = sum(Object.values(this.activations)) + sum(Object.values(this.scratch));
    const scratch = working + sum(this.streams) + rest;
    const total = weights + kv + scratch;
    return { weights, kv, scratch, staging: 0, total, peak: Math.max(this.peak, total) };
  }

  stats(): ExecutorStats {
    return { dispatches: 0, submits: 0, variants: { cpu: this.computing.description } };
  }

  dispose(): void {
    this.computing.close();
    this.computing = inJavaScript('closed').open([]);
    this.weights.clear();
    this.adapters = NO_ADAPTERS;
    this.caches.clear();
    this.hasLogits = false;
  }
}
