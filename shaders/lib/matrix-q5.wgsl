// A matrix of Q5_K: codes of 5 bits, value = code * scale + offset. codes [chunk of 32 columns][row]: the lower 4 bits,
// one vec4u; byte k of word i holds columns 8i + k (low nibble) and 8i + 4 + k (high). high [chunk][row]: the fifth
// bits, one u32; bit q of byte k is that of column 4q + k.
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

// Four codes, one a byte.
fn quad(bytes: u32) -> vec4f {
  return vec4f(vec4u(bytes, bytes >> 8u, bytes >> 16u, bytes >> 24u) & vec4u(255u));
}

fn octet(c: Chunk, index: u32) -> Octet {
  let w = c.codes[index];
  let h = c.high >> (2u * index);
  return Octet(
    quad((w & 0x0f0f0f0fu) | ((h << 4u) & 0x10101010u)),
    quad(((w >> 4u) & 0x0f0f0f0fu) | ((h << 3u) & 0x10101010u)));
}
