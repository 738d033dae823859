// The likeliest of the raw logits and the mass of all, a workgroup a part of the vocabulary, for log-probabilities
// (src/execute/sampler/logprobs.ts). parts: [GROUPS] of TOLD words: the largest logit of the part, the sum of
// exp(logit - largest), then pairs of a logit and its id, the largest first, as many as state[22] says.
// Defaults: THREADS = 256; VOCAB = 1024; GROUPS = 64; TOLD = 42
@group(0) @binding(0) var<storage, read> logits: array<f32, $VOCAB>;
@group(0) @binding(1) var<storage, read_write> parts: array<u32>;
// as in sample-pick.wgsl
@group(0) @binding(2) var<storage, read> state: array<u32, 44>;
#include best
#include sum

@compute @workgroup_size($THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  if (state[1] == 0u) {
    return;
  }
  let first = group.x * $THREADSu + thread;
  let step = $GROUPSu * $THREADSu;
  let at = group.x * $TOLDu;
  // One at a time, each the best of what comes behind the one before it.
  var before = Best(3.4e38, 0u);
  var largest = 0.0;
  for (var n = 0u; n < max(state[22], 1u); n++) {
    var value = -3.4e38;
    var id = 0xffffffffu;
    for (var i = first; i < $VOCABu; i += step) {
      let logit = logits[i];
      let is_behind = n == 0u || logit < before.value || (logit == before.value && i > before.id);
      if (is_behind && (logit > value || (logit == value && i < id))) {
        value = logit;
        id = i;
      }
    }
    workgroupBarrier();
    before = best_of_all(thread, value, id);
    largest = select(largest, before.value, n == 0u);
    if (thread == 0u) {
      parts[at + 2u + 2u * n] = bitcast<u32>(before.value);
      parts[at + 3u + 2u * n] = before.id;
    }
  }
  var mass = 0.0;
  for (var i = first; i < $VOCABu; i += step) {
    mass += exp(logits[i] - largest);
  }
  let all = sum_of_all(thread, mass);
  if (thread == 0u) {
    parts[at] = bitcast<u32>(largest);
    parts[at + 1u] = bitcast<u32>(all);
  }
}
