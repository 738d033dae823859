// How likely an id was: the logarithm of its probability takes its place in `scores`, of which there is one for each
// token of the pass. The token is the last that `state` counts; parts: as sample-top.wgsl finds them. One workgroup.
// Defaults: THREADS = 64; VOCAB = 1024; GROUPS = 64; TOLD = 42
@group(0) @binding(0) var<storage, read> logits: array<f32, $VOCAB>;
@group(0) @binding(1) var<storage, read> parts: array<u32>;
@group(0) @binding(2) var<storage, read> state: array<u32>;
@group(0) @binding(3) var<storage, read_write> scores: array<u32>;
#include best
#include sum

@compute @workgroup_size($THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
  var value = -3.4e38;
  for (var i = thread; i < $GROUPSu; i += $THREADSu) {
    value = max(value, bitcast<f32>(parts[i * $TOLDu]));
  }
  let top = best_of_all(thread, value, 0u).value;
  var mass = 0.0;
  for (var i = thread; i < $GROUPSu; i += $THREADSu) {
    // a part that has no ids has no mass
    mass += bitcast<f32>(parts[i * $TOLDu + 1u]) * exp(bitcast<f32>(parts[i * $TOLDu]) - top);
  }
  let sum = sum_of_all(thread, mass);
  if (thread == 0u) {
    let row = state[1] - 1u;
    scores[row] = bitcast<u32>(logits[scores[row]] - top - log(sum));
  }
}
