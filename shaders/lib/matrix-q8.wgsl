// A matrix of signed bytes: value = code * scale (+ offset). codes [chunk of 32 columns][row]: two vec4u.
// HALVES: blocks of 16, so a chunk has two scales. They travel with its codes and are applied as these are decoded; to
// the kernel such a matrix has no scales.
// Defaults: ROWS = 64; CODE_WORDS = 512; SCALES = 128; CHUNKS_A_SCALE = 2; OFFSET = false; HALVES = false
@group(0) @binding(0) var<storage, read> codes: array<vec4u, $CODE_WORDS>;
@group(0) @binding(1) var<storage, read> scales: array<f32, $SCALES>;
#if OFFSET
@group(0) @binding(2) var<storage, read> offsets: array<f32, $SCALES>;
#end

#if HALVES
struct Chunk { low: vec4u, high: vec4u, scale: vec2f }
#else
struct Chunk { low: vec4u, high: vec4u }
#end

fn load_chunk(chunk: u32, row: u32) -> Chunk {
  let at = 2u * (chunk * $ROWS + row);
#if HALVES
  let block = 2u * chunk * $ROWS + row;
  return Chunk(codes[at], codes[at + 1u], vec2f(scales[block], scales[block + $ROWS]));
#else
  return Chunk(codes[at], codes[at + 1u]);
#end
}

#if !HALVES
fn load_scale(chunk: u32, row: u32) -> f32 {
  return scales[(chunk / $CHUNKS_A_SCALE) * $ROWS + row];
}
#end

#if OFFSET
fn load_offset(chunk: u32, row: u32) -> f32 {
  return offsets[(chunk / $CHUNKS_A_SCALE) * $ROWS + row];
}
#end

fn prepare_table(thread: u32) {}

struct Octet { a: vec4f, b: vec4f }

fn four(w: u32) -> vec4f {
  return vec4f((vec4i(bitcast<i32>(w)) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u));
}

fn octet(c: Chunk, index: u32) -> Octet {
  let half = select(c.low, c.high, index > 1u);
  let pair = select(half.xy, half.zw, (index & 1u) == 1u);
#if HALVES
  let scale = select(c.scale.x, c.scale.y, index > 1u);
  return Octet(four(pair.x) * scale, four(pair.y) * scale);
#else
  return Octet(four(pair.x), four(pair.y));
#end
}
