/**
 * A Source that makes a model up: config.json's geometry with random NF4 weights, as bitsandbytes would have written
 * them, computed where they are read, so that a model of any size takes neither disk nor memory.
 */
import { NibbleError } from '../errors';
import type { JsonObject } from '../formats/json';
import { alignedBlock, NF4_CODEBOOK } from '../formats/matrix';
import { type TensorSlot, tensorTable } from '../model/decoder';
import { parseSpec } from '../model/parse';
import type { Source } from '../sources/source';

interface Piece {
  name: string;
  dtype: 'U8' | 'F32' | 'BF16';
  shape: number[];
  bytes: number;
  /** every 32-bit word of the piece from its index, or its bytes as they are */
  content: ((word: number) => number) | Uint8Array;
}

const FILE = 'model.safetensors';
const f32Bits = (value: number): number => new Uint32Array(new Float32Array([value]).buffer)[0];

/** A word that depends on its place only (a multiply-xorshift hash). */
function scramble(word: number): number {
  let h = Math.imul(word + 0x9e3779b9, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A number of its own for every tensor, so that no two of one shape are alike. */
const seedOf = (name: string): number => [...name].reduce((seed, c) => scramble(seed ^ c.charCodeAt(0)), 0);

function piecesOf({ name, rows, cols, kind }: TensorSlot): Piece[] {
  if (kind === 'vector') {
    const one = f32Bits(name.endsWith('.bias') ? 0 : 1);
    return [{ name, dtype: 'F32', shape: [cols], bytes: cols * 4, content: () => one }];
  }
  const n = rows * cols;
  const seed = seedOf(name);
  // The spread that keeps activations near 1: NF4's codes have a standard deviation of about one half.
  const spread = 2 / Math.sqrt(cols);
  if (alignedBlock(64, cols) !== 64) {
    const half = f32Bits(spread) >>> 16;
    const content = (word: number) => (half | ((scramble(word ^ seed) & 1) << 15)) * 0x10001;
    return [{ name, dtype: 'BF16', shape: [rows, cols], bytes: n * 2, content }];
  }
  const state = JSON.stringify({ quant_type: 'nf4', blocksize: 64, dtype: 'bfloat16', shape: [rows, cols] });
  const scale = f32Bits(spread);
  const bytesOf = (array: Float32Array) => new Uint8Array(array.buffer);
  return [
    { name, dtype: 'U8', shape: [n / 2, 1], bytes: n / 2, content: (word) => scramble(word ^ seed) },
    { name: `${name}.absmax`, dtype: 'F32', shape: [n / 64], bytes: n / 16, content: () => scale },
    {
      name: `${name}.quant_map`,
      dtype: 'F32',
      shape: [16],
      bytes: 64,
      content: bytesOf(Float32Array.from(NF4_CODEBOOK)),
    },
    {
      name: `${name}.quant_state.bitsandbytes__nf4`,
      dtype: 'U8',
      shape: [state.length],
      bytes: state.length,
      content: new TextEncoder().encode(state),
    },
  ];
}

/** Bytes [from, to) of a piece. */
function bytesIn({ content }: Piece, from: number, to: number): Uint8Array {
  if (typeof content !== 'function') return content.subarray(from, to);
  const first = from >> 2;
  const words = Uint32Array.from({ length: ((to + 3) >> 2) - first }, (_, i) => content(first + i));
  return new Uint8Array(words.buffer, from - first * 4, to - from);
}

export function createRandomSource(config: JsonObject): Source {
  const pieces = tensorTable(parseSpec(config)).flatMap(piecesOf);
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> = {};
  const places: { piece: Piece; start: number }[] = [];
  let end = 0;
  for (const piece of pieces) {
    header[piece.name] = { dtype: piece.dtype, shape: piece.shape, data_offsets: [end, end + piece.bytes] };
    places.push({ piece, start: end });
    end += piece.bytes;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const head = new Uint8Array(Math.ceil((8 + json.length) / 8) * 8).fill(32);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - 8), true);
  head.set(json, 8);
  const files: Record<string, { bytes: number; read: (start: number, end: number) => Uint8Array<ArrayBuffer> }> = {};
  const plainFile = (name: string, value: unknown) => {
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    files[name] = { bytes: bytes.length, read: (start, stop) => bytes.slice(start, stop) };
  };
  plainFile('config.json', config);
  files[FILE] = {
    bytes: head.length + end,
    read(start, stop) {
      const out = new Uint8Array(stop - start);
      if (start < head.length) out.set(head.subarray(start, stop));
      for (const { piece, start: at } of places) {
        const from = Math.max(start - head.length, at);
        const to = Math.min(stop - head.length, at + piece.bytes);
        if (from < to) out.set(bytesIn(piece, from - at, to - at), from + head.length - start);
      }
      return out;
    },
  };
  return {
    name: `random ${String(config.model_type)}`,
    revision: null,
    size: async (path) => files[path]?.bytes ?? null,
    async read(path, start, stop) {
      const file = files[path];
      if (!file || stop > file.bytes)
        throw new NibbleError('corrupt-checkpoint', `${path} has no byte ${stop - 1}.`, { path });
      return file.read(start, stop);
    },
  };
}
