/** For tests: small GGUF files, with anything in them. */
import { denseBytes } from '../half';
import type { Files } from './files';

export type Value =
  | ['u16', number]
  | ['u32', number]
  | ['i32', number]
  | ['f32', number]
  | ['bool', boolean]
  | ['str', string]
  | ['strs', string[]]
  | ['i32s', number[]];
export interface Tensor {
  name: string;
  dims: number[];
  type: number;
  data: Uint8Array;
}
const u32 = (n: number) => new Uint8Array(Uint32Array.of(n).buffer);
const u64 = (n: number) => new Uint8Array(BigUint64Array.of(BigInt(n)).buffer);
const str = (text: string) => Buffer.concat([u64(Buffer.byteLength(text)), Buffer.from(text)]);
function value([type, v]: Value): Uint8Array {
  if (type === 'u16') return Buffer.concat([u32(2), new Uint8Array(Uint16Array.of(v).buffer)]);
  if (type === 'i32') return Buffer.concat([u32(5), u32(v)]);
  if (type === 'u32') return Buffer.concat([u32(4), u32(v)]);
  if (type === 'f32') return Buffer.concat([u32(6), denseBytes(Float32Array.of(v), 'f32')]);
  if (type === 'bool') return Buffer.concat([u32(7), Uint8Array.of(v ? 1 : 0)]);
  if (type === 'str') return Buffer.concat([u32(8), str(v)]);
  if (type === 'strs') return Buffer.concat([u32(9), u32(8), u64(v.length), ...v.map(str)]);
  return Buffer.concat([u32(9), u32(5), u64(v.length), ...v.map(u32)]);
}
/** A .gguf file under the name m.gguf. @param more metadata as bytes, and how many keys that is */
export function gguf(
  metadata: Record<string, Value>,
  tensors: Tensor[],
  version = 3,
  more: { raw: Uint8Array; count: number } = { raw: new Uint8Array(), count: 0 },
): Files {
  const entries: Uint8Array[] = [];
  const data: Uint8Array[] = [];
  let at = 0;
  for (const t of tensors) {
    entries.push(str(t.name), u32(t.dims.length), ...t.dims.map(u64), u32(t.type), u64(at));
    const padded = new Uint8Array(Math.ceil(t.data.length / 32) * 32);
    padded.set(t.data);
    data.push(padded);
    at += padded.length;
  }
  const keys = Object.entries(metadata).flatMap(([key, v]) => [str(key), value(v)]);
  const head = [
    Buffer.from('GGUF'),
    u32(version),
    u64(tensors.length),
    u64(Object.keys(metadata).length + more.count),
    more.raw,
    ...keys,
    ...entries,
  ];
  const length = head.reduce((sum, part) => sum + part.length, 0);
  return { 'm.gguf': new Uint8Array(Buffer.concat([...head, new Uint8Array((32 - (length % 32)) % 32), ...data])) };
}

/** 0, 1, 2, … */
export const rampF32 = (n: number) => Float32Array.from({ length: n }, (_, i) => i);

export const f32Tensor = (name: string, dims: number[]): Tensor => ({
  name,
  dims,
  type: 0,
  data: denseBytes(rampF32(dims.reduce((a, b) => a * b, 1)), 'f32'),
});
