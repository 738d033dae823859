/**
 * The CPU's products and its attention in AssemblyScript: WebAssembly with 128-bit SIMD, exact f32 but for the
 * functions whose names end in 16. Compiled by scripts/bundling/vite-simd.ts; linear.ts and attend.ts are the same in
 * JavaScript, and what this is checked against.
 *
 * All pointers are byte addresses into the one memory that an instance is bound to; nothing is allocated here, and
 * memory is only written where a parameter says so. Pointers are unsigned: a memory may have almost 4 GiB. It is long
 * because a module is one file, and each form that a matrix or a ring is held in has a loop of its own.
 */

/** Where the 256 pairs of values stand that a byte of two q4 codes can mean, f32, the high nibble's first. */
const PAIRS: usize = 0;
/**
 * Behind them the codebook in 16 bits: the low bytes of its 16 values, their high bytes, and what a value of 1 stands
 * for, f32 (formats/matrix.ts).
 */
const PLANES: usize = 2048;

const F32: u32 = 0;
const F16: u32 = 1;
const BF16: u32 = 2;
const INT8: u32 = 3;

// Four values at a time

/** The sums of four vectors' lanes, as the lanes of one. */
@inline
function sums(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 1, 4, 5), v128.shuffle<f32>(a, b, 2, 3, 6, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 1, 4, 5), v128.shuffle<f32>(c, d, 2, 3, 6, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 2, 4, 6), v128.shuffle<f32>(ab, cd, 1, 3, 5, 7));
}

@inline
function sum(a: v128): f32 {
  const half = f32x4.add(a, v128.shuffle<f32>(a, a, 2, 3, 0, 1));
  return f32x4.extract_lane(half, 0) + f32x4.extract_lane(half, 1);
}

/** f16 bit patterns, one a 32-bit lane, as f32: subnormals by multiplying, infinities and NaN by their exponent. */
@inline
function halves(bits: v128): v128 {
  const magnitude = i32x4.shl(v128.and(bits, i32x4.splat(0x7fff)), 13);
  const value = f32x4.mul(magnitude, f32x4.splat(5.192296858534828e33)); // 2^112
  const endless = v128.and(i32x4.gt_s(magnitude, i32x4.splat(0x0f7fffff)), i32x4.splat(0x7f800000));
  const sign = i32x4.shl(v128.and(bits, i32x4.splat(0x8000)), 16);
  return v128.or(v128.or(value, endless), sign);
}

/** As halves(), of finite ones in the high halves of their lanes: the exponent moves with the sign behind it. */
@inline
function finite(bits: v128): v128 {
  return f32x4.mul(v128.and(i32x4.shr_s(bits, 3), i32x4.splat(0x8fffe000)), f32x4.splat(5.192296858534828e33));
}

/** Bytes of one value of a type. */
@inline
function size(type: u32): usize {
  return type == F32 ? 4 : type == INT8 ? 1 : 2;
}

@inline
function four(type: u32, at: usize): v128 {
  if (type == F32) return v128.load(at);
  if (type == F16) return halves(v128.load_ext<u16>(at));
  if (type == BF16) return i32x4.shl(v128.load_ext<u16>(at), 16);
  return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load_zero<u32>(at))));
}

@inline
function one(type: u32, at: usize): f32 {
  if (type == F32) return load<f32>(at);
  if (type == F16) return f32x4.extract_lane(halves(i32x4.splat(load<u16>(at))), 0);
  if (type == BF16) return reinterpret<f32>((<u32>load<u16>(at)) << 16);
  return <f32>load<i8>(at);
}

/** e^x for x <= 0, to 1e-7 of itself; below -87 it stays what it is there, 1.6e-38. */
@inline
function exp4(given: v128): v128 {
  const x = f32x4.max(given, f32x4.splat(-87));
  const n = f32x4.nearest(f32x4.mul(x, f32x4.splat(1.4426950408889634)));
  // ln 2 in two parts, of which n times the first is exact
  const r = f32x4.sub(
    f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375))),
    f32x4.mul(n, f32x4.splat(-2.1219444005469057e-4)),
  );
  let p = f32x4.splat(1.0 / 5040.0);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0 / 720.0));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0 / 120.0));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0 / 24.0));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0 / 6.0));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(0.5));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1));
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  return f32x4.mul(p, power);
}

@inline
function tanh4(x: v128): v128 {
  const e = exp4(f32x4.mul(f32x4.abs(x), f32x4.splat(-2)));
  const magnitude = f32x4.div(f32x4.sub(f32x4.splat(1), e), f32x4.add(f32x4.splat(1), e));
  return v128.or(magnitude, v128.and(x, i32x4.splat(0x80000000)));
}

// One token: y[r] = row r times x

/** out[b] = the sum of x over block b: what offsets are multiplied with. */
export function blockSums(x: usize, out: usize, cols: u32, block: u32): void {
  for (let end = x + (cols << 2); x < end; out += 4) {
    let total: f32 = 0;
    for (const last = x + (block << 2); x < last; x += 4) total += load<f32>(x);
    store<f32>(out, total);
  }
}

/** The values of two bytes of codes: four columns. */
@inline
function pairs(first: u32, second: u32): v128 {
  return v128.load_lane<u64>(PAIRS + second, v128.load_zero<u64>(PAIRS + first), 1);
}

/**
 * Two rows at a time share what is loaded of x; an odd last one goes with itself.
 * @param offsets 0: none @param blocks of x, see blockSums()
 */
export function q4Vector(
  codes: usize,
  scales: usize,
  offsets: usize,
  x: usize,
  blocks: usize,
  y: usize,
  rows: u32,
  cols: u32,
  block: u32,
): void {
  const bytes: usize = block >> 1;
  const perRow = cols / block;
  for (let r: u32 = 0; r < rows; r += 2, y += 8) {
    const both = r + 1 < rows;
    const nextCodes: usize = both ? <usize>cols >> 1 : 0;
    const nextScales: usize = both ? <usize>perRow << 2 : 0;
    let a = f32x4.splat(0);
    let b = f32x4.splat(0);
    let offsetA: f32 = 0;
    let offsetB: f32 = 0;
    let at = x;
    for (let k: u32 = 0; k < perRow; k++) {
      let a0 = f32x4.splat(0);
      let a1 = f32x4.splat(0);
      let b0 = f32x4.splat(0);
      let b1 = f32x4.splat(0);
      for (const last = codes + bytes; codes < last; codes += 4, at += 32) {
        const v = load<u32>(codes);
        const w = load<u32>(codes + nextCodes);
        const x0 = v128.load(at);
        const x1 = v128.load(at, 16);
        a0 = f32x4.add(a0, f32x4.mul(pairs((v << 3) & 0x7f8, (v >> 5) & 0x7f8), x0));
        b0 = f32x4.add(b0, f32x4.mul(pairs((w << 3) & 0x7f8, (w >> 5) & 0x7f8), x0));
        a1 = f32x4.add(a1, f32x4.mul(pairs((v >> 13) & 0x7f8, (v >> 21) & 0x7f8), x1));
        b1 = f32x4.add(b1, f32x4.mul(pairs((w >> 13) & 0x7f8, (w >> 21) & 0x7f8), x1));
      }
      a = f32x4.add(a, f32x4.mul(f32x4.add(a0, a1), v128.load_splat<u32>(scales)));
      b = f32x4.add(b, f32x4.mul(f32x4.add(b0, b1), v128.load_splat<u32>(scales + nextScales)));
      scales += 4;
      if (offsets) {
        const own = load<f32>(blocks + (k << 2));
        offsetA += load<f32>(offsets) * own;
        offsetB += load<f32>(offsets + nextScales) * own;
        offsets += 4;
      }
    }
    store<f32>(y, sum(a) + offsetA);
    if (both) store<f32>(y, sum(b) + offsetB, 4);
    codes += nextCodes;
    scales += nextScales;
    if (offsets) offsets += nextScales;
  }
}

export function q8Vector(
  codes: usize,
  scales: usize,
  offsets: usize,
  x: usize,
  blocks: usize,
  y: usize,
  rows: u32,
  cols: u32,
  block: u32,
): void {
  const perRow = cols / block;
  for (const end = y + (rows << 2); y < end; y += 4) {
    let total = f32x4.splat(0);
    let rest: f32 = 0;
    let at = x;
    for (let b: u32 = 0; b < perRow; b++) {
      let s0 = f32x4.splat(0);
      let s1 = f32x4.splat(0);
      let s2 = f32x4.splat(0);
      let s3 = f32x4.splat(0);
      const last = codes + block;
      for (; codes + 16 <= last; codes += 16, at += 64) {
        const bytes = v128.load(codes);
        const low = i16x8.extend_low_i8x16_s(bytes);
        const high = i16x8.extend_high_i8x16_s(bytes);
        s0 = f32x4.add(s0, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(low)), v128.load(at)));
        s1 = f32x4.add(s1, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(low)), v128.load(at, 16)));
        s2 = f32x4.add(s2, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(high)), v128.load(at, 32)));
        s3 = f32x4.add(s3, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(high)), v128.load(at, 48)));
      }
      let few: f32 = 0;
      for (; codes < last; codes++, at += 4) few += <f32>load<i8>(codes) * load<f32>(at);
      const all = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
      total = f32x4.add(total, f32x4.mul(all, v128.load_splat<u32>(scales)));
      rest += few * load<f32>(scales);
      scales += 4;
      if (offsets) {
        rest += load<f32>(offsets) * load<f32>(blocks + (b << 2));
        offsets += 4;
      }
    }
    store<f32>(y, sum(total) + rest);
  }
}

// One token in 16 bits: what a product of 16-bit numbers adds up in 32 bits is exact, so only x and the codebook are
// rounded. A group of 32 columns has 8 products a lane: of x within 32767 and a codebook within 8192 they stay within
// 2^31 - 1 (8 * 32767 * 8192 = 2^31 - 65536), and so do they of int8 codes.

/**
 * x in 16 bits, every whole group of 32 columns by its largest magnitude; columns beyond the last are left out. Of 16
 * columns the 8 even ones stand before the odd ones, as bytes of q4 codes and pairs of int8 have them.
 * @param out [cols / 32, 32] i16
 * @param scales [cols / 32] f32: what a 1 stands for; 0 of a group below 1e-34, for which there would be no such number
 */
export function quantise16(x: usize, out: usize, scales: usize, cols: u32): void {
  for (const end = out + ((cols >> 5) << 6); out < end; scales += 4) {
    const last = x + 128;
    let m = f32x4.splat(0);
    for (let at = x; at < last; at += 16) m = f32x4.max(m, f32x4.abs(v128.load(at)));
    m = f32x4.max(m, v128.shuffle<f32>(m, m, 2, 3, 0, 1));
    const most = max(f32x4.extract_lane(m, 0), f32x4.extract_lane(m, 1));
    // not a number where one of them is none, and so are the sums
    const nothing = most < 1e-34;
    store<f32>(scales, nothing ? 0 : most / 32767);
    const by = f32x4.splat(nothing ? 0 : 32767 / most);
    for (; x < last; x += 64, out += 32) {
      const low = i16x8.narrow_i32x4_s(rounded(v128.load(x), by), rounded(v128.load(x, 16), by));
      const high = i16x8.narrow_i32x4_s(rounded(v128.load(x, 32), by), rounded(v128.load(x, 48), by));
      v128.store(out, v128.shuffle<i16>(low, high, 0, 2, 4, 6, 8, 10, 12, 14));
      v128.store(out, v128.shuffle<i16>(low, high, 1, 3, 5, 7, 9, 11, 13, 15), 16);
    }
  }
}

/**
 * As blockSums(), of x as it stands in 16 bits: beside products of the same numbers an offset takes away just as much
 * as the codes are too large. Columns beyond the last whole 32 are of one block, and as they are.
 */
export function blockSums16(words: usize, wordScales: usize, x: usize, out: usize, cols: u32, block: u32): void {
  const ones = i16x8.splat(1);
  for (let c: u32 = 0; c < cols; out += 4) {
    const last = c + block;
    let total: f32 = 0;
    for (; c + 32 <= last; c += 32, words += 64, wordScales += 4) {
      const all = i32x4.add(dots(ones, ones, words), dots(ones, ones, words + 32));
      total += sum(f32x4.convert_i32x4_s(all)) * load<f32>(wordScales);
    }
    for (; c < last; c++) total += load<f32>(x + (c << 2));
    store<f32>(out, total);
  }
}

@inline
function rounded(x: v128, by: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(x, by)));
}

/** The products of 16 columns: codes as 16-bit numbers, the even columns' and the odd ones', with x. */
@inline
function dots(even: v128, odd: v128, x: usize): v128 {
  return i32x4.add(i32x4.dot_i16x8_s(even, v128.load(x)), i32x4.dot_i16x8_s(odd, v128.load(x, 16)));
}

/** 16-bit numbers of the first 8, or of the last, of their low and high bytes. */
@inline
function firstWords(low: v128, high: v128): v128 {
  return v128.shuffle<i8>(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

@inline
function lastWords(low: v128, high: v128): v128 {
  return v128.shuffle<i8>(low, high, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/** The sum of `count` products of f32. */
@inline
function dot(a: usize, b: usize, count: u32): f32 {
  let total: f32 = 0;
  for (const end = a + (count << 2); a < end; a += 4, b += 4) total += load<f32>(a) * load<f32>(b);
  return total;
}

/** As q4Vector(). @param words, wordScales what quantise16() made of x */
export function q4Vector16(
  codes: usize,
  scales: usize,
  offsets: usize,
  x: usize,
  blocks: usize,
  y: usize,
  rows: u32,
  cols: u32,
  block: u32,
  words: usize,
  wordScales: usize,
): void {
  const lowBytes = v128.load(PLANES);
  const highBytes = v128.load(PLANES, 16);
  const unit = load<f32>(PLANES, 32);
  const perRow = cols / block;
  const groups = cols >> 5;
  const shift: u32 = block >> 6;
  for (const end = y + (rows << 2); y < end; y += 4) {
    let total = f32x4.splat(0);
    let at = words;
    for (let g: u32 = 0; g < groups; g++, codes += 16, at += 64) {
      const bytes = v128.load(codes);
      const even = v128.and(i16x8.shr_u(bytes, 4), i8x16.splat(15));
      const odd = v128.and(bytes, i8x16.splat(15));
      const evenLow = i8x16.swizzle(lowBytes, even);
      const evenHigh = i8x16.swizzle(highBytes, even);
      const oddLow = i8x16.swizzle(lowBytes, odd);
      const oddHigh = i8x16.swizzle(highBytes, odd);
      const own = i32x4.add(
        dots(firstWords(evenLow, evenHigh), firstWords(oddLow, oddHigh), at),
        dots(lastWords(evenLow, evenHigh), lastWords(oddLow, oddHigh), at + 32),
      );
      const scale = f32x4.mul(
        v128.load_splat<u32>(wordScales + (g << 2)),
        v128.load_splat<u32>(scales + ((g >> shift) << 2)),
      );
      total = f32x4.add(total, f32x4.mul(f32x4.convert_i32x4_s(own), scale));
    }
    scales += perRow << 2;
    let rest: f32 = 0;
    if (offsets) {
      rest = dot(offsets, blocks, perRow);
      offsets += perRow << 2;
    }
    store<f32>(y, sum(total) * unit + rest);
  }
}

/** The products of 16 int8 codes with x. */
@inline
function dotsOfBytes(codes: usize, x: usize): v128 {
  const pairs = v128.load(codes);
  return dots(i16x8.shr_s(i16x8.shl(pairs, 8), 8), i16x8.shr_s(pairs, 8), x);
}

/** As q8Vector(). Columns beyond the last whole 32 are of one block, and exact. */
export function q8Vector16(
  codes: usize,
  scales: usize,
  offsets: usize,
  x: usize,
  blocks: usize,
  y: usize,
  rows: u32,
  cols: u32,
  block: u32,
  words: usize,
  wordScales: usize,
): void {
  const perRow = cols / block;
  const groups = cols >> 5;
  const shift: u32 = block == 32 ? 0 : block == 64 ? 1 : 31;
  for (const end = y + (rows << 2); y < end; y += 4) {
    let total = f32x4.splat(0);
    let at = words;
    for (let g: u32 = 0; g < groups; g++, codes += 32, at += 64) {
      const first = dotsOfBytes(codes, at);
      const last = dotsOfBytes(codes + 16, at + 32);
      let own: v128;
      if (block == 16) {
        const both = scales + (g << 3);
        own = f32x4.add(
          f32x4.mul(f32x4.convert_i32x4_s(first), v128.load_splat<u32>(both)),
          f32x4.mul(f32x4.convert_i32x4_s(last), v128.load_splat<u32>(both, 4)),
        );
      } else
        own = f32x4.mul(
          f32x4.convert_i32x4_s(i32x4.add(first, last)),
          v128.load_splat<u32>(scales + ((g >> shift) << 2)),
        );
      total = f32x4.add(total, f32x4.mul(own, v128.load_splat<u32>(wordScales + (g << 2))));
    }
    scales += perRow << 2;
    let rest: f32 = 0;
    for (let c = groups << 5; c < cols; c++, codes++) rest += <f32>load<i8>(codes) * load<f32>(x + (c << 2));
    rest *= load<f32>(scales - 4);
    if (offsets) {
      rest += dot(offsets, blocks, perRow);
      offsets += perRow << 2;
    }
    store<f32>(y, sum(total) + rest);
  }
}

@inline
function dense(type: u32, values: usize, x: usize, y: usize, rows: u32, cols: u32): void {
  for (const end = y + (rows << 2); y < end; y += 4) {
    let s0 = f32x4.splat(0);
    let s1 = f32x4.splat(0);
    let s2 = f32x4.splat(0);
    let s3 = f32x4.splat(0);
    let at = x;
    let c: u32 = 0;
    for (; c + 16 <= cols; c += 16, at += 64) {
      s0 = f32x4.add(s0, f32x4.mul(four(type, values), v128.load(at)));
      s1 = f32x4.add(s1, f32x4.mul(four(type, values + 4 * size(type)), v128.load(at, 16)));
      s2 = f32x4.add(s2, f32x4.mul(four(type, values + 8 * size(type)), v128.load(at, 32)));
      s3 = f32x4.add(s3, f32x4.mul(four(type, values + 12 * size(type)), v128.load(at, 48)));
      values += 16 * size(type);
    }
    let rest: f32 = 0;
    for (; c < cols; c++, at += 4, values += size(type)) rest += one(type, values) * load<f32>(at);
    store<f32>(y, sum(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3))) + rest);
  }
}

export function f32Vector(values: usize, x: usize, y: usize, rows: u32, cols: u32): void {
  dense(F32, values, x, y, rows, cols);
}

export function f16Vector(values: usize, x: usize, y: usize, rows: u32, cols: u32): void {
  dense(F16, values, x, y, rows, cols);
}

export function bf16Vector(values: usize, x: usize, y: usize, rows: u32, cols: u32): void {
  dense(BF16, values, x, y, rows, cols);
}

// Many tokens: y[r, t] = row r times x[t]. Rows are read two at a time into a tile, [2, stride] f32.

@inline
function zeros(from: usize, end: usize): void {
  for (; from < end; from += 4) store<f32>(from, 0);
}

function q4Row(codes: usize, scales: usize, offsets: usize, tile: usize, cols: u32, block: u32): void {
  for (const end = tile + (cols << 2); tile < end; ) {
    const scale = v128.load_splat<u32>(scales);
    const offset = offsets ? v128.load_splat<u32>(offsets) : f32x4.splat(0);
    for (const last = tile + (block << 2); tile < last; tile += 32, codes += 4) {
      const w = load<u32>(codes);
      const even = pairs((w << 3) & 0x7f8, (w >> 5) & 0x7f8);
      const odd = pairs((w >> 13) & 0x7f8, (w >> 21) & 0x7f8);
      v128.store(tile, f32x4.add(f32x4.mul(even, scale), offset));
      v128.store(tile, f32x4.add(f32x4.mul(odd, scale), offset), 16);
    }
    scales += 4;
    if (offsets) offsets += 4;
  }
}

function q8Row(codes: usize, scales: usize, offsets: usize, tile: usize, cols: u32, block: u32): void {
  for (const end = tile + (cols << 2); tile < end; ) {
    const scale = load<f32>(scales);
    const offset = offsets ? load<f32>(offsets) : 0;
    const last = tile + (block << 2);
    for (; tile + 16 <= last; tile += 16, codes += 4)
      v128.store(tile, f32x4.add(f32x4.mul(four(INT8, codes), f32x4.splat(scale)), f32x4.splat(offset)));
    for (; tile < last; tile += 4, codes++) store<f32>(tile, <f32>load<i8>(codes) * scale + offset);
    scales += 4;
    if (offsets) offsets += 4;
  }
}

@inline
function row(type: u32, values: usize, out: usize, cols: u32): void {
  const end = out + (cols << 2);
  if (type == F16) {
    const endless = i16x8.splat(0x7c00);
    for (; out + 32 <= end; out += 32, values += 16) {
      const bits = v128.load(values);
      if (v128.any_true(i16x8.eq(v128.and(bits, endless), endless))) break;
      v128.store(out, finite(v128.shuffle<i16>(i16x8.splat(0), bits, 0, 8, 0, 9, 0, 10, 0, 11)));
      v128.store(out, finite(v128.shuffle<i16>(i16x8.splat(0), bits, 0, 12, 0, 13, 0, 14, 0, 15)), 16);
    }
  }
  for (; out + 16 <= end; out += 16, values += 4 * size(type)) v128.store(out, four(type, values));
  for (; out < end; out += 4, values += size(type)) store<f32>(out, one(type, values));
}

/** @param type as one(): of 0 f32, 1 f16, 2 bf16, 3 int8 */
function denseRow(type: u32, values: usize, out: usize, cols: u32): void {
  if (type == F32) row(F32, values, out, cols);
  else if (type == F16) row(F16, values, out, cols);
  else if (type == BF16) row(BF16, values, out, cols);
  else row(INT8, values, out, cols);
}

/** y[i, t] = row i of the tile times x[t], four tokens at a time. */
function product(tile: usize, x: usize, y: usize, stride: u32, tokens: u32): void {
  const width: usize = stride << 2;
  const next = y + (tokens << 2);
  for (let t: usize = 0; t < tokens; t += 4) {
    let a0 = f32x4.splat(0);
    let a1 = f32x4.splat(0);
    let a2 = f32x4.splat(0);
    let a3 = f32x4.splat(0);
    let b0 = f32x4.splat(0);
    let b1 = f32x4.splat(0);
    let b2 = f32x4.splat(0);
    let b3 = f32x4.splat(0);
    let at = x + t * width;
    const x1 = width;
    const x2 = width << 1;
    const x3 = x1 + x2;
    for (let w = tile, end = tile + width; w < end; w += 16, at += 16) {
      const p = v128.load(w);
      const q = v128.load(w + width);
      let v = v128.load(at);
      a0 = f32x4.add(a0, f32x4.mul(p, v));
      b0 = f32x4.add(b0, f32x4.mul(q, v));
      v = v128.load(at + x1);
      a1 = f32x4.add(a1, f32x4.mul(p, v));
      b1 = f32x4.add(b1, f32x4.mul(q, v));
      v = v128.load(at + x2);
      a2 = f32x4.add(a2, f32x4.mul(p, v));
      b2 = f32x4.add(b2, f32x4.mul(q, v));
      v = v128.load(at + x3);
      a3 = f32x4.add(a3, f32x4.mul(p, v));
      b3 = f32x4.add(b3, f32x4.mul(q, v));
    }
    v128.store(y + (t << 2), sums(a0, a1, a2, a3));
    v128.store(next + (t << 2), sums(b0, b1, b2, b3));
  }
}

/**
 * @param tile two rows of `stride` f32, whose columns beyond the matrix's are made 0
 * @param x [tokens, stride], 0 beyond the matrix's columns; stride and tokens are multiples of 4
 * @param y [rows + 1, tokens]: where rows are odd, the last is followed by one of no meaning
 */
export function q4Tokens(
  codes: usize,
  scales: usize,
  offsets: usize,
  tile: usize,
  x: usize,
  y: usize,
  rows: u32,
  cols: u32,
  block: u32,
  tokens: u32,
): void {
  const bytes: usize = cols >> 1;
  const statistics: usize = (cols / block) << 2;
  for (let r: u32 = 0; r < rows; r += 2, y += tokens << 3) {
    for (let i: u32 = 0; i < 2; i++) {
      if (r + i == rows) break;
      q4Row(codes, scales, offsets, tile + i * (cols << 2), cols, block);
      codes += bytes;
      scales += statistics;
      if (offsets) offsets += statistics;
    }
    product(tile, x, y, cols, tokens);
  }
}

export function q8Tokens(
  codes: usize,
  scales: usize,
  offsets: usize,
  tile: usize,
  x: usize,
  y: usize,
  rows: u32,
  cols: u32,
  block: u32,
  tokens: u32,
): void {
  const statistics: usize = (cols / block) << 2;
  const stride: u32 = (cols + 3) & ~3;
  for (let r: u32 = 0; r < rows; r += 2, y += tokens << 3) {
    for (let i: u32 = 0; i < 2; i++) {
      if (r + i == rows) break;
      const to = tile + i * (stride << 2);
      q8Row(codes, scales, offsets, to, cols, block);
      zeros(to + (cols << 2), to + (stride << 2));
      codes += cols;
      scales += statistics;
      if (offsets) offsets += statistics;
    }
    product(tile, x, y, stride, tokens);
  }
}

export function denseTokens(
  type: u32,
  values: usize,
  tile: usize,
  x: usize,
  y: usize,
  rows: u32,
  cols: u32,
  tokens: u32,
): void {
  const stride: u32 = (cols + 3) & ~3;
  for (let r: u32 = 0; r < rows; r += 2, y += tokens << 3) {
    for (let i: u32 = 0; i < 2; i++) {
      if (r + i == rows) break;
      const to = tile + i * (stride << 2);
      denseRow(type, values, to, cols);
      zeros(to + (cols << 2), to + (stride << 2));
      values += <usize>cols * size(type);
    }
    product(tile, x, y, stride, tokens);
  }
}

/**
 * gate = act(gate) * up, of `count` values each and up to 3 behind them, where act(x) = x / (1 + e^-z): silu where z is
 * x, and gelu_tanh where it is 2 u, u = sqrt(2 / pi) (x + 0.044715 x^3), for (1 + tanh u) / 2 = 1 / (1 + e^-2u).
 */
export function activate(gate: usize, up: usize, count: u32, gelu: u32): void {
  for (const end = gate + (count << 2); gate < end; gate += 16, up += 16) {
    const x = v128.load(gate);
    let z = x;
    if (gelu) {
      const cubic = f32x4.mul(f32x4.mul(x, x), f32x4.splat(0.07135481627159));
      z = f32x4.mul(x, f32x4.add(f32x4.splat(1.5957691216057308), cubic));
    }
    // of -|z|, which does not overflow: e^-z / (1 + e^-z) = 1 / (1 + e^z)
    const e = exp4(f32x4.neg(f32x4.abs(z)));
    const above = v128.bitselect(e, f32x4.splat(1), f32x4.lt(z, f32x4.splat(0)));
    const product = f32x4.mul(x, v128.load(up));
    v128.store(gate, f32x4.mul(product, f32x4.div(above, f32x4.add(f32x4.splat(1), e))));
  }
}

// Attention

/** Values of one head at `count` positions as rows of f32, `stride` apart, 0 beyond the head. */
function heads(
  type: u32,
  values: usize,
  scales: usize,
  out: usize,
  count: u32,
  kvHeads: u32,
  head: u32,
  headSize: u32,
  stride: u32,
): void {
  for (let j: u32 = 0; j < count; j++, out += stride << 2) {
    const index = j * kvHeads + head;
    denseRow(type, values + <usize>(index * headSize) * size(type), out, headSize);
    zeros(out + (headSize << 2), out + (stride << 2));
    if (type != INT8) continue;
    const scale = f32x4.splat(load<f32>(scales + (index << 2)) / 127);
    for (let at = out, end = out + (stride << 2); at < end; at += 16)
      v128.store(at, f32x4.mul(v128.load(at), scale));
  }
}

/**
 * The queries of some tokens meet `count` keys of consecutive positions and slots. A query's state is the weighted sum
 * of values in `sum` [tokens, heads, stride], and in `state` its largest score, [tokens, heads], then its sum of
 * weights.
 * @param bias what is added to keys, [count, kvHeads, headSize] f32; 0: nothing
 * @param reach positions that a query sees, itself included
 * @param softcap 0: none
 * @param query [tokens, heads, stride] @param stride headSize rounded up to 4
 * @param from the first head of those that meet them @param end the one behind the last
 * @param rows room for keys and values, [2, count rounded up to 4, stride] @param scores room for as many as there are
 * keys, rounded up
 */
export function attend(
  type: u32,
  keys: usize,
  keyScales: usize,
  values: usize,
  valueScales: usize,
  bias: usize,
  position: i32,
  count: u32,
  start: i32,
  tokens: u32,
  reach: i32,
  kvHeads: u32,
  group: u32,
  headSize: u32,
  scale: f32,
  softcap: f32,
  query: usize,
  from: u32,
  end: u32,
  sum: usize,
  state: usize,
  rows: usize,
  scores: usize,
): void {
  const stride: u32 = (headSize + 3) & ~3;
  const width: usize = stride << 2;
  const allHeads = kvHeads * group;
  const valueRows = rows + <usize>((count + 3) & ~3) * width;
  for (let kv: u32 = from / group; kv * group < end; kv++) {
    heads(type, keys, keyScales, rows, count, kvHeads, kv, headSize, stride);
    heads(type, values, valueScales, valueRows, count, kvHeads, kv, headSize, stride);
    if (bias)
      for (let j: u32 = 0; j < count; j++)
        for (let i: u32 = 0; i < headSize; i++) {
          const at = rows + <usize>j * width + (i << 2);
          store<f32>(at, load<f32>(at) + load<f32>(bias + (((j * kvHeads + kv) * headSize + i) << 2)));
        }
    for (let t: u32 = 0; t < tokens; t++) {
      const own = start + <i32>t - position;
      const last = <u32>max(0, min(<i32>count, own + 1));
      const first = <u32>max(0, own - reach + 1);
      if (first >= last) continue;
      for (let h: u32 = max(from, kv * group), lastHead = min(end, (kv + 1) * group); h < lastHead; h++) {
        const index = t * allHeads + h;
        const q = query + <usize>index * width;
        let most = f32x4.splat(-Infinity);
        const first4 = first & ~3;
        for (let j = first4; j < last; j += 4) {
          const key = rows + <usize>j * width;
          let s0 = f32x4.splat(0);
          let s1 = f32x4.splat(0);
          let s2 = f32x4.splat(0);
          let s3 = f32x4.splat(0);
          for (let i: usize = 0; i < width; i += 16) {
            const v = v128.load(q + i);
            s0 = f32x4.add(s0, f32x4.mul(v, v128.load(key + i)));
            s1 = f32x4.add(s1, f32x4.mul(v, v128.load(key + width + i)));
            s2 = f32x4.add(s2, f32x4.mul(v, v128.load(key + 2 * width + i)));
            s3 = f32x4.add(s3, f32x4.mul(v, v128.load(key + 3 * width + i)));
          }
          let score = f32x4.mul(sums(s0, s1, s2, s3), f32x4.splat(scale));
          if (softcap != 0)
            score = f32x4.mul(tanh4(f32x4.div(score, f32x4.splat(softcap))), f32x4.splat(softcap));
          if (j < first || j + 4 > last) {
            // those that it does not see
            const lane = i32x4.add(i32x4.splat(j), i32x4(0, 1, 2, 3));
            const seen = v128.and(i32x4.ge_s(lane, i32x4.splat(first)), i32x4.lt_s(lane, i32x4.splat(last)));
            score = v128.bitselect(score, f32x4.splat(-Infinity), seen);
          }
          most = f32x4.max(most, score);
          v128.store(scores + (j << 2), score);
        }
        most = f32x4.max(most, v128.shuffle<f32>(most, most, 2, 3, 0, 1));
        const before = load<f32>(state + (index << 2));
        const now = max(before, max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1)));
        store<f32>(state + (index << 2), now);
        const shrink = f32x4.extract_lane(exp4(f32x4.splat(before - now)), 0);
        let weights = f32x4.splat(0);
        for (let j = first4; j < last; j += 4) {
          const weight = exp4(f32x4.sub(v128.load(scores + (j << 2)), f32x4.splat(now)));
          weights = f32x4.add(weights, weight);
          v128.store(scores + (j << 2), weight);
        }
        const total = state + ((tokens * allHeads + index) << 2);
        const s = f32x4.add(weights, v128.shuffle<f32>(weights, weights, 2, 3, 0, 1));
        store<f32>(total, load<f32>(total) * shrink + f32x4.extract_lane(s, 0) + f32x4.extract_lane(s, 1));
        addValues(sum + <usize>index * width, shrink, scores, valueRows, first, last, width);
      }
    }
  }
}

/** sum = sum * shrink + the rows first..end of values, each times its weight. */
function addValues(
  sum: usize,
  shrink: f32,
  weights: usize,
  values: usize,
  first: u32,
  end: u32,
  width: usize,
): void {
  const by = f32x4.splat(shrink);
  let i: usize = 0;
  for (; i + 64 <= width; i += 64) {
    let s0 = f32x4.mul(v128.load(sum + i), by);
    let s1 = f32x4.mul(v128.load(sum + i, 16), by);
    let s2 = f32x4.mul(v128.load(sum + i, 32), by);
    let s3 = f32x4.mul(v128.load(sum + i, 48), by);
    let at = values + <usize>first * width + i;
    for (let j = first; j < end; j++, at += width) {
      const weight = v128.load_splat<u32>(weights + (j << 2));
      s0 = f32x4.add(s0, f32x4.mul(weight, v128.load(at)));
      s1 = f32x4.add(s1, f32x4.mul(weight, v128.load(at, 16)));
      s2 = f32x4.add(s2, f32x4.mul(weight, v128.load(at, 32)));
      s3 = f32x4.add(s3, f32x4.mul(weight, v128.load(at, 48)));
    }
    v128.store(sum + i, s0);
    v128.store(sum + i, s1, 16);
    v128.store(sum + i, s2, 32);
    v128.store(sum + i, s3, 48);
  }
  for (; i < width; i += 16) {
    let s0 = f32x4.mul(v128.load(sum + i), by);
    let at = values + <usize>first * width + i;
    for (let j = first; j < end; j++, at += width)
      s0 = f32x4.add(s0, f32x4.mul(v128.load_splat<u32>(weights + (j << 2)), v128.load(at)));
    v128.store(sum + i, s0);
  }
}
