/**
 * Prompts that are read for their hidden states, or for how likely their tokens are: the passes of a prefill, with what
 * is asked of their rows behind them. Some numbers come back, and no logits. A prompt alone is read as for an answer;
 * several share passes (pack.ts), in which each has the buffers of its own that say where it is, and its own rings.
 */
import { readFloats } from '../../gpu/readback';
import { poolGroups, poolKernel } from '../../kernels/pool';
import { sampleTopKernel } from '../../kernels/sample-top';
import { scorePickKernel } from '../../kernels/score-pick';
import {
  LOGPROB_BUFFERS,
  LOGPROB_PARTS,
  POOLED,
  POOLED_ROWS,
  READBACK,
  requestWords,
  SCORES,
  STATE,
  stateWords,
  textBuffer,
  textBuffers,
} from '../../memory/gpu-scratch';
import { idsOf, type PackedPiece, packed, TEXTS_AT_ONCE } from '../pack';
import { emptyRows, isLastOnly, type Pooled } from '../pooling';
import type { PlanBuffers } from './buffers';
import type { GpuKvCache } from './kv-cache';
import { type LowerOptions, lower } from './lower';
import { lowerHidden } from './lower-hidden';
import { type Bound, beginOf, type Op, op } from './op';
import { BoundBefore, bindOwn, passesOf, sharedPass, takeRow, writeFrequencies } from './passes';
import type { Pass, Submitter } from './submitter';

/** What the executor lends. */
export interface ReadingParts {
  device: GPUDevice;
  buffers: PlanBuffers;
  submitter: Submitter;
  /** the most tokens of a pass */
  chunk: number;
  lowering: LowerOptions;
  /** leaves of a pass its last token */
  lastRow: readonly Bound[];
  bind(ops: readonly Op[], buffer?: (name: string) => GPUBuffer): Promise<Bound[]>;
}

/** A prompt, and the conversation that it is read into. */
export interface GpuReading {
  cache: GpuKvCache;
  passes: NonNullable<GpuKvCache['passes']>;
  ids: ArrayLike<number>;
  start: number;
}

/** The first f32 values of a buffer. */
const read = ({ device, buffers }: ReadingParts, from: GPUBuffer, values: number): Promise<Float32Array> =>
  readFloats(device, buffers.get(READBACK), [{ from, at: 0, to: 0, bytes: values * 4 }]);

/** What pools the rows of a pass, which are in the buffer `x`. */
const poolOps = (width: number, x: string, pooled: Pooled) =>
  pooled.rows.map((row, i) =>
    op(poolKernel(width, row, i), { x, pooled: POOLED, state: 'state' }, () => [poolGroups(width)]),
  );

/** Nothing has been pooled yet. */
function emptyPool(device: GPUDevice, into: GPUBuffer, pooled: Pooled, width: number): void {
  device.queue.writeBuffer(into, 0, emptyRows(pooled, width));
  device.queue.writeBuffer(into, POOLED_ROWS * width * 4, Uint32Array.of(pooled.from));
}

/** As Executor.pool(). */
export async function pool(
  parts: ReadingParts,
  texts: readonly GpuReading[],
  pooled: Pooled,
  signal?: AbortSignal,
): Promise<Float32Array[]> {
  const { device, buffers, submitter, lowering } = parts;
  const { width } = lowering.model.spec;
  // of every row; a head takes it into itself otherwise
  const norm = lowerHidden(lowering);
  const ops = poolOps(width, norm.buffers.out!, pooled);
  if (texts.length === 1) return [await poolOne(parts, texts[0], pooled, norm, ops, signal)];
  const packing = await pack(parts, texts, [norm]);
  const pools: Bound[][] = [];
  for (let text = 0; text < packing.most; text++)
    pools.push(await parts.bind(ops, (name) => packing.bufferOf(name, text)));
  const found: Float32Array[] = [];
  for (const { pieces, all } of packing.passes()) {
    for (const { at, slot } of pieces)
      if (at === 0) emptyPool(device, buffers.get(textBuffer(POOLED, slot)), pooled, width);
    await submitter.worksInPieces(
      [...packing.works(pieces, all), ...pieces.map(({ slot, pass }) => [pools[slot], pass] as const)],
      signal,
    );
    const ended = pieces.filter(({ ends }) => ends);
    if (ended.length > 0) await submitter.settle();
    for (const { index, slot } of ended)
      found[index] = await read(parts, buffers.get(textBuffer(POOLED, slot)), pooled.rows.length * width);
  }
  return found;
}

async function poolOne(
  parts: ReadingParts,
  reading: GpuReading,
  pooled: Pooled,
  norm: Op,
  ops: readonly Op[],
  signal?: AbortSignal,
): Promise<Float32Array> {
  const { device, buffers, submitter, lowering, lastRow } = parts;
  const { width } = lowering.model.spec;
  const { prefill, decode } = reading.passes;
  const ends = await parts.bind([norm, ...ops]);
  const into = buffers.get(POOLED);
  emptyPool(device, into, pooled, width);
  const all = [...prefill.slice(0, beginOf(prefill, 'head')), ...ends];
  const layers = prefill.slice(0, beginOf(prefill, 'tail'));
  const last = [...lastRow, ...decode.slice(beginOf(decode, 'tail'), beginOf(decode, 'head')), ...ends];
  for (const part of passesOf(device, buffers, parts.chunk, reading)) {
    await submitter.inPieces(isLastOnly(pooled) ? layers : all, part.pass, signal);
    if (isLastOnly(pooled) && part.ends) await submitter.inPieces(last, { ...part.pass, tokens: 1 }, signal);
  }
  await submitter.settle();
  return read(parts, into, pooled.rows.length * width);
}

/** As Executor.score(). */
export async function score(
  parts: ReadingParts,
  texts: readonly GpuReading[],
  signal?: AbortSignal,
): Promise<Float64Array[]> {
  const { device, buffers, submitter, lowering } = parts;
  const [{ vocab }, shape] = [lowering.model.spec, lowering.shapes.sampler];
  await buffers.have(LOGPROB_BUFFERS);
  const vocabulary = { logits: 'logits', parts: LOGPROB_PARTS, state: 'state' };
  const ends = await parts.bind([
    op(sampleTopKernel(vocab, shape), vocabulary, () => [shape.groups]),
    op(scorePickKernel(vocab, shape), { ...vocabulary, scores: SCORES }, () => [1]),
  ]);
  // no alternatives are looked for, whatever the last request wanted
  device.queue.writeBuffer(buffers.get('state'), STATE.request * 4, requestWords({}));
  const found = texts.map(({ ids }) => new Float64Array(Math.max(0, ids.length - 1)));
  const scores = buffers.get(SCORES);
  const packing = await pack(parts, texts);
  for (const { pieces, all } of packing.passes()) {
    await submitter.worksInPieces(packing.works(pieces, all), signal);
    // the ids that are asked about, in whose places the answers will be; a text's last token has none behind it
    const asked = new Uint32Array(all.tokens);
    const rows: { row: number; index: number; at: number }[] = [];
    for (const { index, text, row, tokens, at } of pieces)
      for (let t = 0; t < tokens && at + t < found[index].length; t++) {
        asked[row + t] = text.ids[at + t + 1];
        rows.push({ row: row + t, index, at: at + t });
      }
    device.queue.writeBuffer(scores, 0, asked);
    for (const { row } of rows) {
      takeRow(device, buffers, row);
      await submitter.inPieces([...packing.head, ...ends], all, signal);
    }
    await submitter.settle();
    if (rows.length === 0) continue;
    const values = await read(parts, scores, rows[rows.length - 1].row + 1);
    for (const { row, index, at } of rows) found[index][at] = values[row];
  }
  return found;
}

/** As Executor.nextLogits(). */
export async function nextLogits(
  parts: ReadingParts,
  texts: readonly GpuReading[],
  ids: readonly number[],
  signal?: AbortSignal,
): Promise<Float32Array[]> {
  const { device, buffers, submitter } = parts;
  const found: Float32Array[] = [];
  const packing = await pack(parts, texts);
  for (const { pieces, all } of packing.passes()) {
    await submitter.worksInPieces(packing.works(pieces, all), signal);
    for (const { index, row, tokens, ends } of pieces) {
      if (!ends) continue;
      takeRow(device, buffers, row + tokens - 1);
      await submitter.inPieces(packing.head, all, signal);
      await submitter.settle();
      const words = ids.map((id, i) => ({ from: buffers.get('logits'), at: id * 4, to: i * 4, bytes: 4 }));
      found[index] = await readFloats(device, buffers.get(READBACK), words);
    }
  }
  await submitter.settle();
  return found;
}

/** A piece of a pass, with the number of its text's own buffers, and what its own dispatches are told. */
type Placed = PackedPiece<GpuReading> & { slot: number; pass: Pass };

const boundBefore = new BoundBefore();

/** @param behind dispatches of all rows behind the last layer's */
async function pack(parts: ReadingParts, texts: readonly GpuReading[], behind: readonly Op[] = []) {
  const { device, buffers, chunk, lowering } = parts;
  const { spec } = lowering.model;
  const most = Math.min(TEXTS_AT_ONCE, texts.length);
  await buffers.have(textBuffers(spec, most));
  /** a text's own buffer, where it has one of this name */
  const bufferOf = (name: string, slot: number) => {
    const own = textBuffer(name, slot);
    return buffers.get(buffers.has(own) ? own : name);
  };
  const shared = texts[0].passes.prefill.filter(({ op }) => op.layer === null);
  const head = beginOf(shared, 'head');
  const rest = [...shared.slice(0, head), ...(await parts.bind(behind))];
  const own = await Promise.all(
    texts.map(({ cache }, index) => {
      const slot = index % most;
      const buffer = (name: string) => cache.buffers.get(name) ?? bufferOf(name, slot);
      const bind = (ops: readonly Op[]) => parts.bind(ops, buffer);
      return boundBefore.get(cache, slot, () => bindOwn(lower({ ...lowering, parts: cache.parts }, 'prefill'), bind));
    }),
  );
  return {
    most,
    bufferOf,
    /** the head's own dispatches, of one row */
    head: shared.slice(head),
    *passes(): Generator<{ pieces: Placed[]; all: Pass }> {
      for (const found of packed(texts, chunk, most)) {
        const ids = idsOf(found);
        device.queue.writeBuffer(buffers.get('ids'), 0, ids);
        device.queue.writeBuffer(buffers.get('state'), 0, Uint32Array.of(0, ids.length));
        const pieces = found.map((piece): Placed => {
          const { text, index, at, tokens, row } = piece;
          const [slot, first] = [index % most, text.start + at];
          device.queue.writeBuffer(buffers.get(textBuffer('state', slot)), 0, stateWords(first, tokens, row));
          writeFrequencies(device, spec, text.cache.reach, (name) => buffers.get(textBuffer(name, slot)));
          text.cache.held.write(first, first + tokens - 1);
          return { ...piece, slot, pass: { tokens, last: first + tokens - 1, slots: text.cache.held.slots } };
        });
        yield { pieces, all: { tokens: ids.length, last: 0, slots: [] } };
      }
    },
    works: (pieces: readonly Placed[], all: Pass) =>
      sharedPass(
        rest,
        all,
        pieces.map(({ index, pass }) => ({ own: own[index], pass })),
      ),
  };
}
