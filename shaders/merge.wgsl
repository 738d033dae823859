// Split attention's parts to finished rows, in place of the first part: a thread reads and writes its own four values.
// Defaults: THREADS = 64; COLUMNS = 128; X_WORDS = 32
@group(0) @binding(0) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> state: array<u32>;
#include merge

@compute @workgroup_size($THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  // of a pass of no tokens, behind the end of an answer, nothing is merged
  if (id.x * 4u < $COLUMNSu && state[1] > 0u) {
    x[id.x] = merged_word(id.x);
  }
}
