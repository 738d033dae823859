// A matrix of signed bytes: value = code * scale (+ offset). codes [chunk of 32 columns][row]: two vec4u.
// Defaults: ROWS = 64; CODE_WORDS = 512
@group(0) @binding(0) var<storage, read> codes: array<vec4u, $CODE_WORDS>;
#include scales

struct Chunk { low: vec4u, high: vec4u }

fn load_chunk(chunk: u32, row: u32) -> Chunk {
  let at = 2u * (chunk * $ROWS + row);
  return Chunk(codes[at], codes[at + 1u]);
}

fn prepare_table(thread: u32) {}

struct Octet { a: vec4f, b: vec4f }

fn four(w: u32) -> vec4f {
  return vec4f((vec4i(bitcast<i32>(w)) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u));
}

fn octet(c: Chunk, index: u32) -> Octet {
  let half = select(c.low, c.high, index > 1u);
  let pair = select(half.xy, half.zw, (index & 1u) == 1u);
  return Octet(four(pair.x), four(pair.y));
}
