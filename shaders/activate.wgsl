// out[t] = act(gate[t]) * up[t], where gate and up could not be one matrix. x is [tokens][gate, up].
// Defaults: THREADS = 64; COLUMNS = 64
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> state: array<u32>;
#include activation

@compute @workgroup_size($THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let token = id.y;
  if (id.x >= $COLUMNSu || token >= state[1]) {
    return;
  }
  let at = token * 2u * $COLUMNSu + id.x;
  out[token * $COLUMNSu + id.x] = activate(x[at]) * x[at + $COLUMNSu];
}
