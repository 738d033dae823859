/**
 * The draws of one request on the GPU, and the passes between them. A drawn id stays in a GPU buffer and feeds the next
 * pass; steps are encoded ahead, and ids come back late, four bytes each. A mask has to know each id: then a pass alone
 * runs ahead. A draft makes one pass of several tokens, whose rows are drawn from for as long as it comes true.
 */
import { throwIfAborted } from '../../errors';
import type { Gpu } from '../../gpu/device';
import { readMapped } from '../../gpu/readback';
import { ID_RING, idReadback, STATE, STEPS_AHEAD } from '../../memory/gpu-scratch';
import { nextDraft, type SampleOptions } from '../sampler/options';
import type { PlanBuffers } from './buffers';
import type { GpuKvCache } from './kv-cache';
import { type Bound, beginOf } from './op';
import type { Draws } from './sampler';
import { type Pass, SUBMIT_MS, type Submitter } from './submitter';

export class Decoding {
  readonly #gpu: Gpu;
  readonly #buffers: PlanBuffers;
  readonly #submitter: Submitter;
  readonly #chunk: number;
  readonly #vocab: number;
  /** of a step, the last time */
  #stepMs = Number.POSITIVE_INFINITY;

  /**
   * @param chunk the most tokens of a pass: a sliding ring has room for so many, so that what is thrown away later does
   * not overwrite what is still seen
   */
  constructor(gpu: Gpu, buffers: PlanBuffers, submitter: Submitter, chunk: number, vocab: number) {
    this.#gpu = gpu;
    this.#buffers = buffers;
    this.#submitter = submitter;
    this.#chunk = chunk;
    this.#vocab = vocab;
  }

  /** As Executor.decode(), where the logits of the first draw are there. */
  async *run(
    cache: GpuKvCache,
    passes: NonNullable<GpuKvCache['passes']>,
    { dispatches, useMask }: Draws,
    start: number,
    count: number,
    sample: SampleOptions,
    signal?: AbortSignal,
  ): AsyncGenerator<number> {
    const { device, health } = this.#gpu;
    const pending: Promise<ArrayBuffer>[] = [];
    // Pass n makes the logits of draw n; the prompt's are there.
    let [passed, drawn] = [1, 0];
    /** ids of the newest pass behind its first, until they are drawn or something else is */
    let drafted: number[] = [];
    let row = 0;
    const pass = (encoder: GPUCommandEncoder) => this.#pass(encoder, cache, passes.decode, start + passed++ - 1);
    const draw = (encoder = device.createCommandEncoder()): void => {
      if (passed === drawn) pass(encoder);
      pending.push(this.#draw(encoder, dispatches, drawn++));
    };
    const submitPass = (): void => {
      const encoder = device.createCommandEncoder();
      pass(encoder);
      this.#submitter.submit(encoder);
    };
    let last = -1;
    let began = performance.now();
    try {
      for (let yielded = 0; yielded < count; yielded++) {
        throwIfAborted(signal);
        const ahead = this.#stepMs > SUBMIT_MS / 2 ? 0 : Math.min(STEPS_AHEAD, this.#chunk - 1);
        if (sample.draft && passed === drawn && pending.length === 0) {
          if (drafted[0] === last) {
            drafted.shift();
            this.#row(passes.prefill, ++row);
            passed++;
          } else {
            drafted = nextDraft(sample, Math.min(this.#chunk - 1, count - yielded - 1), this.#vocab);
            row = 0;
            if (drafted.length > 0) {
              this.#passOf(cache, passes.prefill, start + yielded - 1, [last, ...drafted]);
              this.#row(passes.prefill, row);
              passed++;
            }
          }
        }
        if (sample.mask) {
          // The mask is made while the pass runs.
          if (passed === drawn) submitPass();
          await useMask();
          draw();
          if (ahead > 0 && drawn < count && !sample.draft) submitPass();
        } else if (sample.draft && (passed > drawn || pending.length > 0)) {
          // The row that is there, or an id that is on its way: then there is something to ask for again.
          if (pending.length === 0) draw();
        } else {
          while (drawn < count && drawn <= yielded + ahead) draw();
        }
        const bytes = await (pending.shift() as Promise<ArrayBuffer>);
        health.check();
        const now = performance.now();
        if (yielded > 0) this.#stepMs = now - began;
        began = now;
        [last] = new Uint32Array(bytes);
        yield last;
      }
    } finally {
      await Promise.allSettled(pending);
    }
  }

  /** The pass of the id that was drawn last, at the position `last`. */
  #pass(encoder: GPUCommandEncoder, cache: GpuKvCache, decode: readonly Bound[], last: number): void {
    cache.held.write(last, last);
    this.#submitter.encode(encoder, decode, { tokens: 1, last, slots: cache.held.slots });
  }

  /** A pass of several ids, the first of them at the position `first`; the head runs for a row of it afterwards. */
  #passOf(cache: GpuKvCache, prefill: readonly Bound[], first: number, ids: readonly number[]): void {
    const pass = beginPass(this.#gpu.device, this.#buffers, cache, first, Uint32Array.from(ids));
    this.#encodeAlone(prefill.slice(0, beginOf(prefill, 'head')), pass);
  }

  /** The logits of a row of the last pass. */
  #row(prefill: readonly Bound[], row: number): void {
    takeRow(this.#gpu.device, this.#buffers, row);
    this.#encodeAlone(prefill.slice(beginOf(prefill, 'head')), { tokens: row + 1, last: 0, slots: [] });
  }

  #encodeAlone(steps: readonly Bound[], pass: Pass): void {
    const encoder = this.#gpu.device.createCommandEncoder();
    this.#submitter.encode(encoder, steps, pass);
    this.#submitter.submit(encoder);
  }

  /** Encodes and submits a draw; its id is on its way back. */
  #draw(encoder: GPUCommandEncoder, dispatches: readonly Bound[], index: number): Promise<ArrayBuffer> {
    this.#submitter.encode(encoder, dispatches, { tokens: 1, last: 0, slots: [] });
    const readback = this.#buffers.get(idReadback(index));
    encoder.copyBufferToBuffer(this.#buffers.get('sampled'), (index % ID_RING) * 4, readback, 0, 4);
    this.#submitter.submit(encoder);
    return readMapped(this.#gpu.device, readback, 4);
  }
}

/** Writes what a pass of several ids reads, the first of them at the position `first`. */
export function beginPass(
  { queue }: GPUDevice,
  buffers: PlanBuffers,
  { held }: Pick<GpuKvCache, 'held'>,
  first: number,
  ids: Uint32Array<ArrayBuffer>,
): Pass {
  const tokens = ids.length;
  const last = first + tokens - 1;
  queue.writeBuffer(buffers.get('ids'), 0, ids);
  queue.writeBuffer(buffers.get('state'), 0, Uint32Array.of(first, tokens));
  held.write(first, last);
  return { tokens, last, slots: held.slots };
}

/** Has the head take a row of the last pass: it takes the last of so many tokens. */
export const takeRow = ({ queue }: GPUDevice, buffers: PlanBuffers, row: number): void =>
  queue.writeBuffer(buffers.get('state'), STATE.tokens * 4, Uint32Array.of(row + 1));
