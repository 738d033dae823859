// The scales and offsets of Q4_K and Q5_K, d * sc and -(dmin * m), one of each a chunk: [block of 8 chunks][row], one
// vec4u. x: d, and above it dmin, of 16 bits; then the eight sc and m of 6 bits, chunk by chunk from the lowest bits:
// y: the lower 4 bits of sc; z: of m; w: the upper 2 of sc, and above them those of m.
// Defaults: ROWS = 64; SCALES = 32
@group(0) @binding(1) var<storage, read> scales: array<vec4u, $SCALES>;
#include half

fn load_scale(chunk: u32, row: u32) -> f32 {
  let block = scales[(chunk / 8u) * $ROWS + row];
  let at = 4u * (chunk % 8u);
  return half_value(block.x & 0xffffu) * f32(((block.y >> at) & 15u) | (((block.w >> at) & 3u) << 4u));
}

fn load_offset(chunk: u32, row: u32) -> f32 {
  let block = scales[(chunk / 8u) * $ROWS + row];
  let at = 4u * (chunk % 8u);
  return -half_value(block.x >> 16u) * f32(((block.z >> at) & 15u) | (((block.w >> at) & 12u) << 2u));
}
