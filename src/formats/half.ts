/** f16 and bf16 <-> f32: exact one way, rounded to nearest even the other. */
import type { DenseType } from './matrix';

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);
let table: Float32Array | null = null;

function f16Value(h: number): number {
  const exponent = (h >> 10) & 31;
  const fraction = h & 1023;
  const sign = h & 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
}

/** The f32 of every f16 bit pattern (256 KiB, made at first use). */
export function f16Table(): Float32Array {
  table ??= Float32Array.from({ length: 65536 }, (_, h) => f16Value(h));
  return table;
}

/** Bit pattern of the nearest f16, ties to even; overflow becomes infinity, NaN stays NaN. */
export function toF16(value: number): number {
  f32[0] = value;
  const bits = u32[0];
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520 and above round to infinity
  if (magnitude < 0x38800000) {
    // subnormal f16: a multiple of 2^-24; adding 0.5 lets the f32 adder round it there
    f32[0] = Math.abs(f32[0]) + 0.5;
    return sign | (u32[0] - 0x3f000000);
  }
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

/** Bit pattern of the nearest bf16, ties to even. */
export function toBf16(value: number): number {
  f32[0] = value;
  const bits = u32[0];
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The values of little-endian dense bytes; f32 that starts aligned is a view, everything else a copy. */
export function denseValues(data: Uint8Array, type: DenseType): Float32Array {
  const bytes = data.byteOffset % 4 ? data.slice() : data;
  if (type === 'f32') return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1);
  const out = new Float32Array(halves.length);
  if (type === 'f16') {
    const values = f16Table();
    for (let i = 0; i < out.length; i++) out[i] = values[halves[i]];
  } else {
    const outBits = new Uint32Array(out.buffer);
    for (let i = 0; i < out.length; i++) outBits[i] = halves[i] << 16;
  }
  return out;
}

/** Values as little-endian bytes of a dense type. */
export function denseBytes(values: Float32Array, type: DenseType): Uint8Array {
  if (type === 'f32') return new Uint8Array(values.slice().buffer);
  return new Uint8Array(Uint16Array.from(values, type === 'f16' ? toF16 : toBf16).buffer);
}
