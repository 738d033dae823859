// RMSNorm of q and of k over all their heads at once, in place (OLMo 2): a workgroup for one of the two of a token.
// Defaults: THREADS = 64; Q_WIDTH = 64; K_WIDTH = 32; QKV_WIDTH = 128; NORM_PLUS_ONE = false; EPS = 1e-5
@group(0) @binding(0) var<storage, read_write> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> q_norm: array<f32>;
@group(0) @binding(2) var<storage, read> k_norm: array<f32>;
@group(0) @binding(3) var<storage, read> state: array<u32>;
#include sum

@compute @workgroup_size($THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  if (group.x >= state[1]) {
    return;
  }
  let keys = group.y == 1u;
  let at = group.x * $QKV_WIDTHu + select(0u, $Q_WIDTHu, keys);
  let width = select($Q_WIDTHu, $K_WIDTHu, keys);
  var squares = 0.0;
  for (var i = thread; i < width; i += $THREADSu) {
    squares += qkv[at + i] * qkv[at + i];
  }
  let rms = inverseSqrt(sum_of_all(thread, squares) / f32(width) + $EPS);
  for (var i = thread; i < width; i += $THREADSu) {
    let weight = select(q_norm[min(i, $Q_WIDTHu - 1u)], k_norm[min(i, $K_WIDTHu - 1u)], keys);
#if NORM_PLUS_ONE
    qkv[at + i] *= rms * (weight + 1.0);
#else
    qkv[at + i] *= rms * weight;
#end
  }
}
