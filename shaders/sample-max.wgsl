// The largest logit and its lowest id, a workgroup a part of the vocabulary. maxima: [group] of (bits of the logit,
// id). CLEARS: as it is the first of the sampler's passes, it empties what the first of the others adds to.
// Defaults: THREADS = 64; VOCAB = 1024; GROUPS = 64; CLEARS = false; BINS = 2048
@group(0) @binding(0) var<storage, read> logits: array<f32, $VOCAB>;
@group(0) @binding(1) var<storage, read_write> maxima: array<vec2u>;
// as in sample-pick.wgsl
@group(0) @binding(2) var<storage, read> state: array<u32, 44>;
#if CLEARS
// as in lib/kept.wgsl
@group(0) @binding(3) var<storage, read_write> kept: array<u32>;
#end
#include best

@compute @workgroup_size($THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  if (state[1] == 0u) {
    return;
  }
#if CLEARS
  for (var i = group.x * $THREADSu + thread; i < $BINSu; i += $GROUPSu * $THREADSu) {
    kept[i] = 0u;
  }
#end
  var value = -3.4e38;
  var id = 0xffffffffu;
  for (var i = group.x * $THREADSu + thread; i < $VOCABu; i += $GROUPSu * $THREADSu) {
    if (logits[i] > value) {
      value = logits[i];
      id = i;
    }
  }
  let winner = best_of_all(thread, value, id);
  if (thread == 0u) {
    maxima[group.x] = vec2u(bitcast<u32>(winner.value), winner.id);
  }
}
