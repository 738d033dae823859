// out[t] = x[t] * rsqrt(mean(x[t]^2) + EPS) * weight (NORM_PLUS_ONE: weight + 1): a workgroup a token. ADD: out[t] +=
// SCALE * that, which is how a sub-layer's output goes into the residual stream where a family norms it.
// Defaults: THREADS = 64; COLUMNS = 128; X_STRIDE = 32; NORM_WORDS = 32; NORM_PLUS_ONE = false; EPS = 1e-5
// Defaults: ADD = false; SCALE = 1.0
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> norm_weight: array<vec4f, $NORM_WORDS>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(3) var<storage, read> state: array<u32>;
#include sum

@compute @workgroup_size($THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  // of the pass's tokens, of which there are none behind the end of an answer (sample-pick.wgsl)
  if (group.x >= state[1]) {
    return;
  }
  let at = group.x * $X_STRIDEu;
  var squares = 0.0;
  for (var i = thread; i < $X_STRIDEu; i += $THREADSu) {
    squares += dot(x[at + i], x[at + i]);
  }
  let rms = inverseSqrt(sum_of_all(thread, squares) / $COLUMNS.0 + $EPS);
  for (var i = thread; i < $X_STRIDEu; i += $THREADSu) {
#if NORM_PLUS_ONE
    let normed = x[at + i] * rms * (norm_weight[i] + 1.0);
#else
    let normed = x[at + i] * rms * norm_weight[i];
#end
#if ADD
    out[at + i] += $SCALE * normed;
#else
    out[at + i] = normed;
#end
  }
}
