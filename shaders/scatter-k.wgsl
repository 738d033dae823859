// Rows of a K-quant (Q4_K, Q5_K or Q6_K of ggml-common.h), as the file has them, from an upload buffer into the layout
// that kernels read (lib: matrix-q4, matrix-q5, matrix-q6, scales-k). A thread takes 32 columns of a row; neighbouring
// ones take neighbouring rows, whose words are neighbours in every buffer that is written.
// job as in scatter.wgsl: 0 rows of the slice, 1 first row in the matrix, 2 rows of the matrix, 3 blocks in a row.
// Defaults: THREADS = 64; FOUR = true; FIVE = false; SIX = false
@group(0) @binding(0) var<storage, read> job: array<u32, 8>;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read_write> codes: array<vec4u>;
#if SIX
@group(0) @binding(3) var<storage, read_write> scales: array<u32>;
@group(0) @binding(4) var<storage, read_write> high: array<vec2u>;
#else
@group(0) @binding(3) var<storage, read_write> scales: array<vec4u>;
#if FIVE
@group(0) @binding(4) var<storage, read_write> high: array<u32>;
#end
#end

// Four bytes from an even one on: blocks of Q6_K have 210.
fn word(byte: u32) -> u32 {
#if SIX
  let at = byte / 4u;
  if (byte % 4u == 0u) {
    return source[at];
  }
  return (source[at] >> 16u) | (source[at + 1u] << 16u);
#else
  return source[byte / 4u];
#end
}

// Eight codes, one in the lower nibble of each byte, as a word of codes: of matrix-q4 each two in a byte, the first in
// the upper nibble; of matrix-q5 and matrix-q6 the first four in the lower nibbles.
fn joined(low: u32, high: u32) -> u32 {
#if FOUR
  let a = ((low << 4u) | (low >> 8u)) & 0x00ff00ffu;
  let b = ((high << 4u) | (high >> 8u)) & 0x00ff00ffu;
  return ((a | (a >> 8u)) & 0xffffu) | ((b | (b >> 8u)) << 16u);
#else
  return low | (high << 4u);
#end
}

// The nibbles of 32 bytes, the upper or the lower ones.
fn nibbles(byte: u32, shift: u32) -> vec4u {
  var out: vec4u;
  for (var i = 0u; i < 4u; i++) {
    out[i] = joined((word(byte + 8u * i) >> shift) & 0x0f0f0f0fu, (word(byte + 8u * i + 4u) >> shift) & 0x0f0f0f0fu);
  }
  return out;
}

#if SIX
// A finite f16. unpack2x16float may take the smallest (below 6.1e-5) for zero, where scales of scales are at home.
fn half_value(half: u32) -> f32 {
  let normal = bitcast<f32>(((half & 0x7fffu) << 13u) + 0x38000000u);
  let size = select(normal, f32(half & 1023u) * 5.9604644775390625e-8, (half & 0x7c00u) == 0u);
  return select(size, -size, half >= 0x8000u);
}
#else
// An f16 below 2^7 with its exponent 10 more: what was subnormal no longer is (scales-k).
fn shifted(half: u32) -> u32 {
  let mantissa = half & 1023u;
  let sign = half & 0x8000u;
  if ((half & 0x7c00u) != 0u) {
    return half + (10u << 10u);
  }
  if (mantissa == 0u) {
    return sign;
  }
  let top = firstLeadingBit(mantissa);
  return sign | ((top + 1u) << 10u) | ((mantissa << (10u - top)) & 1023u);
}
#end

@compute @workgroup_size($THREADS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * $THREADSu;
  let chunks = job[3] * 8u;
  if (at >= job[0] * chunks) {
    return;
  }
  let slice_row = at % job[0];
  let chunk = at / job[0];
  let block = chunk / 8u;
  let part = chunk % 8u;
  let row = job[1] + slice_row;
  let rows = job[2];
#if SIX
  let begin = (slice_row * job[3] + block) * 210u;
  // Each half of 128 columns: 64 bytes of nibbles, 32 of pairs of bits for each of its four chunks.
  let side = part / 4u;
  codes[chunk * rows + row] = nibbles(begin + 64u * side + 32u * (part % 2u), 4u * ((part / 2u) % 2u));
  var bits: vec2u;
  for (var i = 0u; i < 8u; i++) {
    let four = (word(begin + 128u + 32u * side + 4u * i) >> (2u * (part % 4u))) & 0x03030303u;
    bits[i / 4u] |= (four ^ 0x02020202u) << (2u * (i % 4u));
  }
  high[chunk * rows + row] = bits;
  if (part % 2u == 0u) {
    scales[(chunk / 2u) * rows + row] = word(begin + 192u + 2u * part);
  }
  if (part == 0u) {
    // d is the upper half of a block's last word.
    scales[4u * job[3] * rows + block * rows + row] = bitcast<u32>(half_value(word(begin + 206u) >> 16u));
  }
#else
#if FIVE
  let begin = (slice_row * job[3] + block) * 176u;
  codes[chunk * rows + row] = nibbles(begin + 48u + 32u * (part / 2u), 4u * (part % 2u));
  var bits = 0u;
  for (var i = 0u; i < 8u; i++) {
    bits |= ((word(begin + 16u + 4u * i) >> part) & 0x01010101u) << i;
  }
  high[chunk * rows + row] = bits;
#else
  let begin = (slice_row * job[3] + block) * 144u;
  codes[chunk * rows + row] = nibbles(begin + 16u + 32u * (part / 2u), 4u * (part % 2u));
#end
  if (part == 0u) {
    // Of the first four chunks sc and m are the lower 6 bits of bytes 0 to 3 and 4 to 7; of the others their lower 4
    // are bytes 8 to 11, their upper 2 those of bytes 0 to 3 and 4 to 7.
    let sc = word(begin + 4u);
    let m = word(begin + 8u);
    let rest = word(begin + 12u);
    var packed = vec3u(0u);
    for (var j = 0u; j < 4u; j++) {
      let first = (vec2u(sc, m) >> vec2u(8u * j)) & vec2u(255u);
      let lower = (vec2u(rest) >> vec2u(8u * j, 8u * j + 4u)) & vec2u(15u);
      let upper = ((first >> vec2u(4u)) & vec2u(3u)) | ((first >> vec2u(6u)) << vec2u(16u));
      packed |= vec3u((first & vec2u(15u)) | (lower << vec2u(16u)), upper.x | (upper.y << 2u)) << vec3u(4u * j);
    }
    let d = word(begin);
    scales[block * rows + row] = vec4u(shifted(d & 0xffffu) | (shifted(d >> 16u) << 16u), packed);
  }
#end
}
