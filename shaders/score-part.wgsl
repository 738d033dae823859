// Of a part of the vocabulary the largest logit, and the sum of exp(logit - largest), a workgroup a part: of these
// score-pick.wgsl makes the logarithm of the sum of all.
// Defaults: THREADS = 64; VOCAB = 1024; GROUPS = 64
@group(0) @binding(0) var<storage, read> logits: array<f32, $VOCAB>;
@group(0) @binding(1) var<storage, read_write> parts: array<vec2f>;
#include best
#include sum

@compute @workgroup_size($THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  var value = -3.4e38;
  for (var i = group.x * $THREADSu + thread; i < $VOCABu; i += $GROUPSu * $THREADSu) {
    value = max(value, logits[i]);
  }
  let top = best_of_all(thread, value, 0u).value;
  var mass = 0.0;
  for (var i = group.x * $THREADSu + thread; i < $VOCABu; i += $GROUPSu * $THREADSu) {
    mass += exp(logits[i] - top);
  }
  let sum = sum_of_all(thread, mass);
  if (thread == 0u) {
    parts[group.x] = vec2f(top, sum);
  }
}
