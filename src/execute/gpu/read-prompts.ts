/**
 * Prompts that are read for their hidden states, or for how likely their tokens are: the passes of a prefill, with what
 * is asked of their rows behind them. Some numbers come back, and no logits.
 */
import { poolGroups, poolKernel } from '../../kernels/pool';
import { sampleTopKernel } from '../../kernels/sample-top';
import { scorePickKernel } from '../../kernels/score-pick';
import {
  LOGPROB_BUFFERS,
  LOGPROB_PARTS,
  POOLED,
  POOLED_ROWS,
  requestWords,
  SCORES,
  STATE,
} from '../../memory/gpu-scratch';
import { emptyRows, isLastOnly, type Pooled } from '../pooling';
import type { PlanBuffers } from './buffers';
import type { GpuKvCache } from './kv-cache';
import type { LowerOptions } from './lower';
import { lowerHidden } from './lower-hidden';
import { type Bound, beginOf, type Op, op } from './op';
import { passesOf, takeRow } from './passes';
import type { Submitter } from './submitter';

/** What the executor lends. */
export interface ReadingParts {
  device: GPUDevice;
  buffers: PlanBuffers;
  submitter: Submitter;
  /** the most tokens of a pass */
  chunk: number;
  lowering: Pick<LowerOptions, 'model' | 'adapters' | 'shapes'>;
  /** leaves of a pass its last token */
  lastRow: readonly Bound[];
  bind(ops: readonly Op[]): Promise<Bound[]>;
  /** f32 values of a buffer */
  read(from: GPUBuffer, values: number): Promise<Float32Array>;
}

/** A prompt, and the conversation that it is read into. */
export interface Reading {
  cache: GpuKvCache;
  passes: NonNullable<GpuKvCache['passes']>;
  ids: ArrayLike<number>;
  start: number;
  signal?: AbortSignal;
}

/** As Executor.pool(). */
export async function pool(parts: ReadingParts, reading: Reading, pooled: Pooled): Promise<Float32Array> {
  const { device, buffers, submitter, lowering, lastRow } = parts;
  const { width } = lowering.model.spec;
  const { prefill, decode } = reading.passes;
  // of every row; a head takes it into itself otherwise
  const norm = lowerHidden(lowering);
  const ops = pooled.rows.map((row, i) =>
    op(poolKernel(width, row, i), { x: norm.buffers.out!, pooled: POOLED, state: 'state' }, () => [poolGroups(width)]),
  );
  const ends = await parts.bind([norm, ...ops]);
  const into = buffers.get(POOLED);
  device.queue.writeBuffer(into, 0, emptyRows(pooled, width));
  device.queue.writeBuffer(into, POOLED_ROWS * width * 4, Uint32Array.of(pooled.from));
  const all = [...prefill.slice(0, beginOf(prefill, 'head')), ...ends];
  const layers = prefill.slice(0, beginOf(prefill, 'tail'));
  const last = [...lastRow, ...decode.slice(beginOf(decode, 'tail'), beginOf(decode, 'head')), ...ends];
  for (const part of passesOf(device, buffers, parts.chunk, reading)) {
    await submitter.inPieces(isLastOnly(pooled) ? layers : all, part.pass, reading.signal);
    if (isLastOnly(pooled) && part.ends) await submitter.inPieces(last, { ...part.pass, tokens: 1 }, reading.signal);
  }
  await submitter.settle();
  return parts.read(into, pooled.rows.length * width);
}

/** As Executor.score(). */
export async function score(parts: ReadingParts, reading: Reading): Promise<Float64Array> {
  const { device, buffers, submitter, lowering } = parts;
  const [{ vocab }, shape] = [lowering.model.spec, lowering.shapes.sampler];
  const { ids, passes, signal } = reading;
  await buffers.have(LOGPROB_BUFFERS);
  const vocabulary = { logits: 'logits', parts: LOGPROB_PARTS, state: 'state' };
  const ends = await parts.bind([
    op(sampleTopKernel(vocab, shape), vocabulary, () => [shape.groups]),
    op(scorePickKernel(vocab, shape), { ...vocabulary, scores: SCORES }, () => [1]),
  ]);
  // no alternatives are looked for, whatever the last request wanted
  device.queue.writeBuffer(buffers.get('state'), STATE.request * 4, requestWords({}));
  const head = beginOf(passes.prefill, 'head');
  const rest = [...passes.prefill.slice(head), ...ends];
  const found = new Float64Array(ids.length - 1);
  const scores = buffers.get(SCORES);
  for (const { at, pass } of passesOf(device, buffers, parts.chunk, reading)) {
    await submitter.inPieces(passes.prefill.slice(0, head), pass, signal);
    const rows = Math.min(pass.tokens, found.length - at);
    if (rows === 0) break;
    // the ids that are asked about, in whose places the answers will be
    device.queue.writeBuffer(
      scores,
      0,
      Uint32Array.from({ length: rows }, (_, row) => ids[at + row + 1]),
    );
    for (let row = 0; row < rows; row++) {
      takeRow(device, buffers, row);
      await submitter.inPieces(rest, pass, signal);
    }
    await submitter.settle();
    found.set(await parts.read(scores, rows), at);
  }
  await submitter.settle();
  return found;
}
