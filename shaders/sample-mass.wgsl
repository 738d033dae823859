// The mass that top-p takes its share of: a sum of exp((logit - largest) / temperature) over what top-k keeps, where it
// is asked for, a workgroup a part of the vocabulary. Whoever reads them adds the parts in their order.
// Defaults: THREADS = 256; VOCAB = 1024; GROUPS = 64
@group(0) @binding(0) var<storage, read> logits: array<f32, $VOCAB>;
#include winner
// as in sample-pick.wgsl
@group(0) @binding(2) var<storage, read> state: array<u32, 24>;
#include keys
#include digits
#include sum

@compute @workgroup_size($THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  if (state[1] == 0u) {
    return;
  }
  let top = winner_of(thread).value;
  let temperature = bitcast<f32>(state[4]);
  var least = 0u;
  if (state[5] > 0u && state[5] < $VOCABu) {
    least = next_digit(thread, 2u).x;
  }
  var mass = 0.0;
  for (var i = group.x * $THREADSu + thread; i < $VOCABu; i += $GROUPSu * $THREADSu) {
    if (key_of(logits[i]) >= least) {
      mass += exp((logits[i] - top) / temperature);
    }
  }
  let sum = sum_of_all(thread, mass);
  if (thread == 0u) {
    atomicStore(&kept[$MASSESu + group.x], bitcast<u32>(sum));
    if (group.x == 0u) {
      atomicStore(&kept[$LEASTu], least);
    }
  }
}
