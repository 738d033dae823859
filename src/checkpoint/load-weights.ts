/** From a Checkpoint into an executor: every tensor that the model needs, once, in the order of the files. */
import { NibbleError, throwIfAborted } from '../errors';
import { dequantize } from '../formats/dequantize';
import { denseValues } from '../formats/half';
import { unsupported } from '../formats/json';
import {
  arraysOf,
  type DenseType,
  type MatrixFormat,
  type PackedRows,
  type RowSlice,
  type TensorInfo,
} from '../formats/matrix';
import { HEAD } from '../model/head';
import { release } from '../platform/release';
import { yieldToEvents } from '../platform/yield-to-events';
import type { Checkpoint } from './checkpoint';

/** What the model expects of a tensor; see tensorTable() in model/decoder.ts. */
export interface NeededTensor {
  name: string;
  rows: number;
  cols: number;
  kind: 'matrix' | 'vector';
}

/** Where weights go: an executor's WeightSink, which see. */
interface Sink {
  write(name: string, slice: RowSlice): Promise<void>;
  writeVector(name: string, values: Float32Array): void;
  finish(): Promise<void>;
}

export interface LoadOptions {
  signal?: AbortSignal;
  /** what matrices are to become; a quantised one that is to become another type is dequantised on the way */
  formats?: ReadonlyMap<string, MatrixFormat>;
  /** told after every slice how many stored bytes are now in place */
  onPlaced?: (bytes: number) => void;
}

/**
 * Checks the shape of every tensor the model needs; tensors that it does not need are left alone.
 * @throws corrupt-checkpoint, with both shapes; unsupported-quantization, by number type
 */
export function checkShapes(
  { tensors, unread }: Pick<Checkpoint, 'tensors' | 'unread'>,
  needed: readonly NeededTensor[],
): void {
  for (const { name, rows, cols } of needed) {
    const info = tensors.get(name);
    if (!info) {
      const dtype = unread?.get(name);
      if (dtype) {
        const what = `${name} is stored as ${dtype} without bitsandbytes' statistics`;
        throw unsupported(what, { name, tensor: name, dtype });
      }
      const next =
        name === HEAD
          ? 'It was saved without its head: save it from AutoModelForCausalLM, or, if the head is the embedding, set tie_word_embeddings to true.'
          : 'Get the model again.';
      const message = `The checkpoint has no tensor ${name}, which its config.json calls for. ${next}`;
      throw new NibbleError('corrupt-checkpoint', message, { name, expected: [rows, cols] });
    }
    if (info.rows === rows && info.cols === cols) continue;
    const message = `${name} has shape [${info.rows}, ${info.cols}] where config.json calls for [${rows}, ${cols}]. Weights and config are of different models.`;
    throw new NibbleError('corrupt-checkpoint', message, {
      name,
      shape: [info.rows, info.cols],
      expected: [rows, cols],
    });
  }
}

/** @throws corrupt-checkpoint, integrity-mismatch, network, quota-exceeded, out-of-memory, aborted */
export async function loadWeights(
  checkpoint: Checkpoint,
  needed: readonly NeededTensor[],
  sink: Sink,
  { signal, formats, onPlaced }: LoadOptions = {},
): Promise<void> {
  checkShapes(checkpoint, needed);
  const kinds = new Map(needed.map(({ name, kind }) => [name, kind]));
  for (const [name, info] of checkpoint.tensors) {
    const kind = kinds.get(name);
    if (!kind) continue;
    for await (const slice of checkpoint.read(name, { signal })) {
      throwIfAborted(signal);
      checkFinite(name, slice);
      if (kind === 'matrix') await place(sink, info, formats?.get(name) ?? info.format, slice);
      else sink.writeVector(name, vectorOf(name, slice));
      onPlaced?.((info.storedBytes * slice.rows) / info.rows);
      // the store brings the next chunk meanwhile, and a stop can arrive
      await yieldToEvents();
    }
  }
  await sink.finish();
}

/** f32 bytes of a matrix that is dequantised at once. */
const PIECE_BYTES = 4 << 20;

async function place(sink: Sink, { name, format }: TensorInfo, wanted: MatrixFormat, slice: RowSlice): Promise<void> {
  // A slice tells itself what it is of: what is kept as it was quantised here is not of its file's type.
  if (slice.type === 'dense' || wanted.type === (slice.type === 'packed' ? format.type : slice.type))
    return sink.write(name, slice);
  const quantised = slice.type === 'packed' ? { ...slice, ...slice.unpack() } : slice;
  for (const piece of dequantize(quantised, format, PIECE_BYTES)) {
    await sink.write(name, piece);
    // a sink copies what it is given
    release(piece.data);
  }
  if (slice.type === 'packed') release(...arraysOf(quantised));
}

/** Its own memory: a browser that is shown a view keeps all that lies around it (release.ts). */
function vectorOf(name: string, slice: RowSlice): Float32Array {
  if (slice.type === 'dense') return denseValues(slice.data, slice.dense).slice();
  throw new NibbleError('corrupt-checkpoint', `${name} is a vector and yet quantised. Get the model again.`, { name });
}

/** One altered byte in a scale poisons every answer: not a number, or infinite, is refused here. */
function checkFinite(name: string, slice: RowSlice): void {
  const good =
    slice.type === 'dense'
      ? allFinite(slice.data, slice.dense)
      : slice.type === 'packed'
        ? finiteBlocks(slice)
        : [slice.scales, slice.offsets].every((values) => !values || allFinite(values, 'f32'));
  if (good) return;
  const message = `${name} holds values that are not finite, near row ${slice.row0}. Get the model again.`;
  throw new NibbleError('corrupt-checkpoint', message, { name, row: slice.row0 });
}

/** The numbers of 16 bits of each block: all else in it is whole numbers. */
const finiteBlocks = ({ data, block, halves }: PackedRows): boolean =>
  halves.every((half) => {
    for (let at = half + 1; at < data.length; at += block) if ((data[at] & 0x7c) === 0x7c) return false;
    return true;
  });

/** A float is not finite when all bits of its exponent are set. */
function allFinite({ buffer, byteOffset, byteLength }: ArrayBufferView, type: DenseType): boolean {
  const wide = type === 'f32';
  const words = wide
    ? new Uint32Array(buffer, byteOffset, byteLength >> 2)
    : new Uint16Array(buffer, byteOffset, byteLength >> 1);
  const exponent = wide ? 0x7f800000 : type === 'f16' ? 0x7c00 : 0x7f80;
  for (let i = 0; i < words.length; i++) if ((words[i] & exponent) === exponent) return false;
  return true;
}
