// A matrix of Q5_K: codes of 5 bits, value = code * scale + offset. codes as matrix-q4 has them, without the fifth
// bits, which are high [chunk][row]: of one u32, bit i is that of column i.
// Defaults: ROWS = 64; CODE_WORDS = 256; HIGH = 256; OFFSET = true
@group(0) @binding(0) var<storage, read> codes: array<vec4u, $CODE_WORDS>;
@group(0) @binding(8) var<storage, read> high: array<u32, $HIGH>;
#include scales-k

struct Chunk { codes: vec4u, high: u32 }

fn load_chunk(chunk: u32, row: u32) -> Chunk {
  return Chunk(codes[chunk * $ROWS + row], high[chunk * $ROWS + row]);
}

fn prepare_table(thread: u32) {}

// Columns 8 * octet .. + 7 of a chunk, unscaled.
struct Octet { a: vec4f, b: vec4f }

fn octet(c: Chunk, index: u32) -> Octet {
  let w = c.codes[index];
  let h = c.high >> (8u * index);
  let a = (vec4u(w >> 4u, w, w >> 12u, w >> 8u) & vec4u(15u)) | (vec4u(h << 4u, h << 3u, h << 2u, h << 1u) & vec4u(16u));
  let b = (vec4u(w >> 20u, w >> 16u, w >> 28u, w >> 24u) & vec4u(15u)) | (vec4u(h, h >> 1u, h >> 2u, h >> 3u) & vec4u(16u));
  return Octet(vec4f(a), vec4f(b));
}
