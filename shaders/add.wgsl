// out[t] += SCALE * x[t]
// Defaults: THREADS = 64; COLUMNS = 64; SCALE = 1.0
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> state: array<u32>;

@compute @workgroup_size($THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < $COLUMNSu && id.y < state[1]) {
    out[id.y * $COLUMNSu + id.x] += $SCALE * x[id.y * $COLUMNSu + id.x];
  }
}
