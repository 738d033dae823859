/**
 * Writes a checkpoint of any size with random weights, as bitsandbytes (NF4, double-quantised) or plain transformers
 * (bf16) lay it out: one model.safetensors, tensors by name, so that NF4's small tensors lie all over the file.
 */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '../src/formats/json';
import { NF4_CODEBOOK } from '../src/formats/matrix';
import { tensorTable } from '../src/model/decoder';
import { parseSpec } from '../src/model/parse';

interface Piece {
  name: string;
  dtype: 'U8' | 'F32' | 'BF16';
  shape: number[];
  bytes: number;
  /** repeated to fill the piece */
  content: Uint8Array;
}

const BLOCK = 1 << 20;
const bytesOf = (values: Float32Array) => new Uint8Array(values.buffer);

/** A megabyte of random bytes, and one of bf16 values around ±0.02. */
function noise(): { bytes: Uint8Array; bf16: Uint8Array } {
  const bytes = new Uint8Array(BLOCK);
  let state = 1;
  for (let i = 0; i < BLOCK; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  const bf16 = bytes.slice();
  // sign and mantissa are random, the exponent is that of 2^-6
  for (let i = 1; i < BLOCK; i += 2) bf16[i] = (bytes[i] & 0x80) | 0x3c;
  return { bytes, bf16 };
}

function piecesOf(config: JsonObject, form: 'nf4' | 'bf16'): Piece[] {
  const { bytes, bf16 } = noise();
  const one = bytesOf(new Float32Array(256).fill(1));
  const map = bytesOf(Float32Array.from({ length: 256 }, (_, i) => (i - 128) / 128));
  const codebook = bytesOf(Float32Array.from(NF4_CODEBOOK));
  const offset = 0.02;
  const pieces = tensorTable(parseSpec(config)).flatMap(({ name, rows, cols, kind }): Piece[] => {
    const n = rows * cols;
    if (kind === 'vector') return [{ name, dtype: 'F32', shape: [cols], bytes: cols * 4, content: one }];
    if (form === 'bf16') return [{ name, dtype: 'BF16', shape: [rows, cols], bytes: n * 2, content: bf16 }];
    const blocks = n / 64;
    const state = new TextEncoder().encode(
      JSON.stringify({
        quant_type: 'nf4',
        blocksize: 64,
        dtype: 'bfloat16',
        shape: [rows, cols],
        nested_blocksize: 256,
        nested_dtype: 'float32',
        nested_offset: offset,
      }),
    );
    const part = (suffix: string, dtype: Piece['dtype'], size: number, count: number, content: Uint8Array): Piece => ({
      name: name + suffix,
      dtype,
      shape: [count],
      bytes: size * count,
      content,
    });
    const nested = Math.ceil(blocks / 256);
    return [
      { name, dtype: 'U8', shape: [n / 2, 1], bytes: n / 2, content: bytes },
      part('.absmax', 'U8', 1, blocks, bytes),
      part('.nested_absmax', 'F32', 4, nested, bytesOf(new Float32Array(1024).fill(0.01))),
      part('.nested_quant_map', 'F32', 4, 256, map),
      part('.quant_map', 'F32', 4, 16, codebook),
      part('.quant_state.bitsandbytes__nf4', 'U8', 1, state.length, state),
    ];
  });
  return pieces.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** @returns bytes of the weights' file */
export function writeRandomCheckpoint(folder: string, config: JsonObject, form: 'nf4' | 'bf16'): number {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const pieces = piecesOf(config, form);
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const { name, dtype, shape, bytes } of pieces) {
    header[name] = { dtype, shape, data_offsets: [end, end + bytes] };
    end += bytes;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const head = new Uint8Array(Math.ceil((8 + json.length) / 8) * 8).fill(32);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - 8), true);
  head.set(json, 8);
  const file = openSync(join(folder, 'model.safetensors'), 'w');
  writeSync(file, head);
  for (const { bytes, content } of pieces) {
    for (let at = 0; at < bytes; at += content.length) {
      writeSync(file, content.subarray(0, Math.min(content.length, bytes - at)));
    }
  }
  closeSync(file);
  return head.length + end;
}
