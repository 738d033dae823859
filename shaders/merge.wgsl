// Split attention's parts to finished rows, where they do not fit the workgroup memory of the matvec that reads them.
// Defaults: THREADS = 64; COLUMNS = 128; X_WORDS = 32
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4f>;
#include merge

@compute @workgroup_size($THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x * 4u < $COLUMNSu) {
    out[id.x] = merged_word(id.x);
  }
}
