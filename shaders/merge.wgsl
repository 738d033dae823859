// Split attention's parts to finished rows, in place of the first part: a thread reads and writes its own four values.
// Defaults: THREADS = 64; COLUMNS = 128; X_WORDS = 32
@group(0) @binding(0) var<storage, read_write> x: array<vec4f>;
#include merge

@compute @workgroup_size($THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x * 4u < $COLUMNSu) {
    x[id.x] = merged_word(id.x);
  }
}
