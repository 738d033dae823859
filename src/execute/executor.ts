/**
 * An executor holds one model's weights and activations and the KV caches of its conversations, and runs the list of
 * steps. There are two: gpu/ (fused WebGPU dispatches) and cpu/ (plain functions; the reference, and the fallback
 * without a usable GPU). Nothing above this interface knows which one answers.
 */
import type { RowSlice } from '../formats/matrix';
import type { MemoryReport } from '../gpu/ledger';
import type { ActiveAdapters } from '../memory/adapted';
import type { MemoryPlan } from '../memory/plan';
import type { Rings } from '../memory/rings';
import type { Shift } from '../memory/shift';
import type { Pooled } from './pooling';
import type { SampleOptions } from './sampler/options';

export type { MemoryReport };

/** Where the loader puts weights, tensor by tensor, slice by slice; sized by the plan before anything is read. */
export interface WeightSink {
  /**
   * Takes rows of a planned matrix. A dense slice for a q4 matrix is quantised on the way (NF4, codes bit-equal to
   * bitsandbytes'); any other conversion that would lose precision is the planner's choice, never the sink's.
   */
  write(name: string, slice: RowSlice): Promise<void>;
  /** A vector (norm weight, bias), always f32. */
  writeVector(name: string, values: Float32Array): void;
  /** Called once, when every planned tensor is complete. @throws corrupt-checkpoint when one is not */
  finish(): Promise<void>;
}

export interface PrefillOptions {
  signal?: AbortSignal;
  /** told every position's logits, in order (perplexity, `logits --all`); the array is only valid during the call */
  onLogits?: (position: number, logits: Float32Array) => void;
  /** told after every chunk how many of the ids are done */
  onProgress?: (done: number) => void;
  /** false: nobody asks for the last token's logits, and there are none afterwards */
  logits?: boolean;
}

/** A text that is read and not answered. */
export interface Reading {
  cache: KvCache;
  ids: ArrayLike<number>;
  /** position of the first id; those before it are in the cache */
  start: number;
}

/** One of several answers that are decoded together. */
export interface Stream {
  cache: KvCache;
  /** the newest id, at position start - 1, where it is computed before the first draw, also if it was prefilled */
  last: number;
  /** position of the first id that is drawn */
  start: number;
  /** ids that are drawn at most */
  count: number;
  /** its draft is not asked for */
  sample: SampleOptions;
}

/** What decodes several answers together: see Executor.openStreams(). */
export interface Streams {
  /** how many at once */
  readonly most: number;

  /**
   * Samples the next ids of all of them, with one pass for each step: yields an id for each, in their order, the first
   * of them at their positions `start`. It ends behind the step in which one of them has its last id: those that go on
   * are given again. As in Executor.decode(), ids are written to the caches only when further ones are asked for, and
   * the caller may leave the loop at any step.
   * @throws what Executor.decode() throws
   */
  decode(streams: readonly Stream[], signal?: AbortSignal): AsyncIterable<readonly number[]>;

  /** Frees what they take beside the caches. */
  close(): void;
}

/** The keys and values of one conversation, a ring a layer. */
export interface KvCache {
  /** bytes that it takes now, in all and by layer */
  readonly bytes: number;
  readonly layerBytes: readonly number[];
  /** which positions it holds */
  readonly held: Rings;

  /**
   * Allocates or grows to the plan's capacities, a layer at a time, keeping what is cached, and turns heads from now on
   * as the planned length asks: where that changes (longrope, see frequenciesFor), what is cached is no longer of use.
   * @throws out-of-memory; every layer stays usable, those that had grown with their new size
   */
  reserve(plan: MemoryPlan): Promise<void>;

  /**
   * Makes ready for tokens to be prefilled at `position`, or as near before it as all that they must see is still here.
   * A sliding ring that has wrapped cannot be taken back far, unless to a snapshot.
   * @returns where to go on; 0: everything has to be computed again
   */
  rewind(position: number): number;

  /**
   * Copies what the sliding rings hold of positions below `end`, so that rewind() can go back there; the oldest copy
   * goes where the plan has no room for more. Without room for any it does nothing.
   */
  snapshot(end: number): void;

  /** Frees the copies, and the room for them until the next reserve() that plans some. */
  dropSnapshots(): void;

  /** Copies what another cache of this executor holds of positions below `end` into its own rings, to go on there. */
  take(from: KvCache, end: number): void;

  /**
   * The keys and values of positions from..end-1 of a layer, which it must hold: the bytes of a ring of as many slots,
   * keys first (position p in slot p mod end - from).
   * @throws device-lost, out-of-memory
   */
  read(layer: number, from: number, end: number): Promise<Uint8Array<ArrayBuffer>>;

  /** Puts what read() gave into the rings, which are large enough or take the newest of it; tell `held` at the end. */
  write(layer: number, from: number, end: number, bytes: Uint8Array<ArrayBuffer>): Promise<void>;

  /**
   * Drops positions in the middle and moves those after them to the front, their keys turned back by as many positions.
   * Keys and values of deeper layers stay what they were computed to be with the dropped tokens in sight. Takes
   * shiftSpare() bytes for as long as it lasts.
   * @param shift one that memory/shift.ts allows
   * @throws out-of-memory, and nothing has changed
   */
  shift(shift: Shift): Promise<void>;

  /** Frees it; using it afterwards is a bug. */
  dispose(): void;
}

export interface Executor {
  readonly backend: 'webgpu' | 'cpu';
  readonly sink: WeightSink;

  /** A conversation's cache, of no size until it is reserved. */
  createCache(): KvCache;

  /**
   * Puts these adapters in the place of those that were active; null: none. What the caches hold was computed with
   * others, so the next prefill of each starts at 0. On failure those that were active stay.
   * @throws what active.read() throws, out-of-memory, limit-exceeded, device-lost
   */
  setAdapters(active: ActiveAdapters | null): Promise<void>;

  /**
   * Runs `ids` at absolute positions start.. of a conversation in chunks; afterwards the last token's logits are ready
   * for decode() or logits(). A rejected or aborted prefill leaves positions below `start` valid.
   */
  prefill(cache: KvCache, ids: ArrayLike<number>, start: number, options?: PrefillOptions): Promise<void>;

  /**
   * Samples from the current logits, which are those of this conversation, and goes on: yields ids, the first of them
   * at position `start` (= tokens so far). Sampled ids are written to the cache only when a further id is asked for, so
   * the last id yielded is not in the cache. The caller stops by leaving the loop; steps encoded ahead are discarded
   * and do no harm. Yields at most `count` ids, and none after one of sample.stopIds.
   * @throws invalid-option for a mask or a bias that fits no vocabulary; out-of-memory where a bias or a mask needs
   * buffers that the device has no room for (memory/gpu-scratch.ts, tokenBuffers)
   */
  decode(
    cache: KvCache,
    start: number,
    count: number,
    sample: SampleOptions,
    signal?: AbortSignal,
  ): AsyncIterable<number>;

  /**
   * Makes room for so many answers to be decoded together, which read each weight once for all of them.
   * @throws out-of-memory
   */
  openStreams(most: number): Promise<Streams>;

  /** The last position's logits, [vocab], or those of some ids, in their order. */
  logits(ids?: readonly number[]): Promise<Float32Array>;

  /**
   * Reads texts as prefill() does, several in a pass, up to the final norm, and pools what comes of each; there are no
   * logits afterwards. Needs no head.
   * @param texts each in a cache of its own; their `start` no later than the first position that is pooled, unless only
   * the last one is
   * @returns of each [pooled.rows, width], a row for each way
   */
  pool(texts: readonly Reading[], pooled: Pooled, options?: Pick<PrefillOptions, 'signal'>): Promise<Float32Array[]>;

  /**
   * Reads texts as pool() does, and says of each token but the first how likely it was.
   * @returns of each natural logarithms of probabilities, [ids - 1]
   */
  score(texts: readonly Reading[], options?: Pick<PrefillOptions, 'signal'>): Promise<Float64Array[]>;

  /** Reads texts as pool() does. @returns of each the logits of those ids behind its last token, in their order */
  nextLogits(
    texts: readonly Reading[],
    ids: readonly number[],
    options?: Pick<PrefillOptions, 'signal'>,
  ): Promise<Float32Array[]>;

  /** Bytes by purpose, as allocated now, and the highest total so far. */
  memory(): MemoryReport;
  /** dispatch and submit counts since creation, names of kernel variants in use */
  stats(): ExecutorStats;
  dispose(): void;
}

export interface ExecutorStats {
  dispatches: number;
  submits: number;
  variants: Readonly<Record<string, string>>;
}
