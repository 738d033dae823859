// A matrix of Q6_K: signed codes of 6 bits, value = code * scale, a scale each 16 columns. codes as matrix-q5 has them;
// high [chunk][row]: the upper 2 bits, one vec2u; bits 2q and 2q + 1 of byte k are those of column 4q + k (+ 16 in y).
// scales: first [64 columns][row], four int8; from SCALES_OF on [block of 256 columns][row], the f32 that multiplies
// them. They travel with the codes and are applied as these are decoded; to the kernel such a matrix has no scales.
// Defaults: ROWS = 64; CODE_WORDS = 256; HIGH = 256; SCALES = 160; SCALES_OF = 128; OFFSET = false; INT8 = false
@group(0) @binding(0) var<storage, read> codes: array<vec4u, $CODE_WORDS>;
@group(0) @binding(1) var<storage, read> scales: array<u32, $SCALES>;
@group(0) @binding(8) var<storage, read> high: array<vec2u, $HIGH>;

struct Chunk { codes: vec4u, high: vec2u, scale: vec2f }

fn load_chunk(chunk: u32, row: u32) -> Chunk {
  let pair = bitcast<i32>(scales[(chunk / 2u) * $ROWS + row]) << (16u - 16u * (chunk % 2u));
  let d = bitcast<f32>(scales[$SCALES_OFu + (chunk / 8u) * $ROWS + row]);
  let scale = d * vec2f(vec2i(pair << 8u, pair) >> vec2u(24u));
  return Chunk(codes[chunk * $ROWS + row], high[chunk * $ROWS + row], scale);
}

fn prepare_table(thread: u32) {}

// Columns 8 * octet .. + 7 of a chunk; for INT8 unscaled.
struct Octet { a: vec4f, b: vec4f }

// Four codes, each in the lower 6 bits of a byte.
fn signed_quad(bytes: u32) -> vec4f {
  return vec4f((vec4i(bitcast<i32>(bytes)) << vec4u(26u, 18u, 10u, 2u)) >> vec4u(26u));
}

fn octet(c: Chunk, index: u32) -> Octet {
  let w = c.codes[index];
  let h = select(c.high.x, c.high.y, index > 1u) >> (4u * (index & 1u));
#if INT8
  let scale = 1.0;
#else
  let scale = select(c.scale.x, c.scale.y, index > 1u);
#end
  return Octet(
    signed_quad((w & 0x0f0f0f0fu) | ((h << 4u) & 0x30303030u)) * scale,
    signed_quad(((w >> 4u) & 0x0f0f0f0fu) | ((h << 2u) & 0x30303030u)) * scale);
}
