// The scales and offsets of Q4_K and Q5_K, d * sc and -(dmin * m), one of each a chunk: [block of 8 chunks][row], one
// vec4u. x: d, and above it dmin: a sign, 5 bits of exponent and 10 of mantissa, as f16 but for the exponents, which
// are 10 more: no number but 0 has an exponent of 0, and so none is subnormal. Then the eight sc and m of 6 bits, chunk
// by chunk from the lowest bits: y: the lower 4 bits of sc; z: of m; w: the upper 2 of sc, and above them those of m.
// Defaults: ROWS = 64; SCALES = 32
@group(0) @binding(1) var<storage, read> scales: array<vec4u, $SCALES>;

// 2^102: from the exponents of f32 for as many bits to those that are meant.
const UNSHIFT = bitcast<f32>(0x72800000u);

fn load_scale(chunk: u32, row: u32) -> f32 {
  let block = scales[(chunk / 8u) * $ROWS + row];
  let at = 4u * (chunk % 8u);
  let d = bitcast<f32>(((block.x << 16u) & 0x80000000u) | ((block.x << 13u) & 0x0fffe000u));
  return d * UNSHIFT * f32(((block.y >> at) & 15u) | (((block.w >> at) & 3u) << 4u));
}

fn load_offset(chunk: u32, row: u32) -> f32 {
  let block = scales[(chunk / 8u) * $ROWS + row];
  let at = 4u * (chunk % 8u);
  let dmin = bitcast<f32>((block.x & 0x80000000u) | ((block.x >> 3u) & 0x0fffe000u));
  return -dmin * UNSHIFT * f32(((block.z >> at) & 15u) | (((block.w >> at) & 12u) << 2u));
}
