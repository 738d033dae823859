// Split attention's parts to finished rows, in place of the first part: a thread reads and writes its own four values.
// ROWS: to the token's row in a pass of several answers.
// Defaults: THREADS = 64; COLUMNS = 128; X_WORDS = 32; ROWS = false; ROW_WORDS = 32
#if ROWS
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;
#else
@group(0) @binding(0) var<storage, read_write> x: array<vec4f>;
#end
@group(0) @binding(1) var<storage, read> state: array<u32>;
#include merge

@compute @workgroup_size($THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  // of a pass of no tokens, behind the end of an answer, nothing is merged
  if (id.x * 4u < $COLUMNSu && state[1] > 0u) {
#if ROWS
    out[state[40] * $ROW_WORDSu + id.x] = merged_word(id.x);
#else
    x[id.x] = merged_word(id.x);
#end
  }
}
