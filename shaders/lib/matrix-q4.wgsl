// A matrix of 4-bit codes: value = codebook[code] * scale (+ offset), scales as SCALING has them.
// codes [chunk of 32 columns][row]: one vec4u; byte k of a word holds columns 2k (high nibble) and 2k + 1 (low).
// Defaults: ROWS = 64; CODE_WORDS = 256; SCALING = scales
// Defaults: TABLE_CONST = false; CODEBOOK = ; BYTE_VALUES = ; LINEAR = false
// Defaults: LINEAR_SHIFTED = false; LINEAR_BASE = -8.0
@group(0) @binding(0) var<storage, read> codes: array<vec4u, $CODE_WORDS>;
#include $SCALING

alias Chunk = vec4u;

fn load_chunk(chunk: u32, row: u32) -> Chunk {
  return codes[chunk * $ROWS + row];
}

#if TABLE_CONST
// The two values of every byte: one look-up for two weights.
const BYTE_VALUES = array<vec2f, 256>($BYTE_VALUES);

fn byte_values(byte: u32) -> vec2f {
  return BYTE_VALUES[byte];
}

fn prepare_table(thread: u32) {}
#else
// Dynamic indexing of a constant array is slow on some GPUs; workgroup memory is not.
var<workgroup> table: array<f32, 16>;

fn byte_values(byte: u32) -> vec2f {
  return vec2f(table[byte >> 4u], table[byte & 15u]);
}

fn prepare_table(thread: u32) {
  if (thread < 16u) {
    table[thread] = array<f32, 16>($CODEBOOK)[thread];
  }
  workgroupBarrier();
}
#end

// Columns 8 * octet .. + 7 of a chunk, unscaled.
struct Octet { a: vec4f, b: vec4f }

fn octet(c: Chunk, index: u32) -> Octet {
  let w = c[index];
#if LINEAR
  let a = vec4f(vec4u(w >> 4u, w, w >> 12u, w >> 8u) & vec4u(15u));
  let b = vec4f(vec4u(w >> 20u, w >> 16u, w >> 28u, w >> 24u) & vec4u(15u));
#if LINEAR_SHIFTED
  return Octet(a + vec4f($LINEAR_BASE), b + vec4f($LINEAR_BASE));
#else
  return Octet(a, b);
#end
#else
  return Octet(
    vec4f(byte_values(w & 255u), byte_values((w >> 8u) & 255u)),
    vec4f(byte_values((w >> 16u) & 255u), byte_values(w >> 24u)));
#end
}
