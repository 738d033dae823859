// Log-probabilities of the likeliest, from what sample-top.wgsl found of the parts of the vocabulary. One workgroup.
//
// logprobs: a ring as long as that of the ids, of TOLD words: the log-probability of what is drawn (sample-pick.wgsl
// knows that), the logarithm of the mass of all raw logits, then pairs of a log-probability and its id, the largest
// first, as many as state[22] says.
// Defaults: THREADS = 256; GROUPS = 64; RING = 64; TOLD = 42
@group(0) @binding(0) var<storage, read> parts: array<u32>;
@group(0) @binding(1) var<storage, read_write> logprobs: array<u32>;
// as in sample-pick.wgsl
@group(0) @binding(2) var<storage, read> state: array<u32, 44>;
#include best
#include sum

@compute @workgroup_size($THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
  if (state[1] == 0u) {
    return;
  }
  let at = (state[3] % $RINGu) * $TOLDu;
  let alternatives = state[22];
  let candidates = $GROUPSu * max(alternatives, 1u);
  var before = Best(3.4e38, 0u);
  var largest = 0.0;
  var log_mass = 0.0;
  for (var n = 0u; n < max(alternatives, 1u); n++) {
    var value = -3.4e38;
    var id = 0xffffffffu;
    for (var i = thread; i < candidates; i += $THREADSu) {
      let part = (i % $GROUPSu) * $TOLDu + 2u + 2u * (i / $GROUPSu);
      let logit = bitcast<f32>(parts[part]);
      let own = parts[part + 1u];
      let is_behind = n == 0u || logit < before.value || (logit == before.value && own > before.id);
      if (is_behind && (logit > value || (logit == value && own < id))) {
        value = logit;
        id = own;
      }
    }
    workgroupBarrier();
    before = best_of_all(thread, value, id);
    if (n == 0u) {
      largest = before.value;
      var mass = 0.0;
      for (var i = thread; i < $GROUPSu; i += $THREADSu) {
        // a part that has no ids has no mass
        mass += select(0.0, bitcast<f32>(parts[i * $TOLDu + 1u]) * exp(bitcast<f32>(parts[i * $TOLDu]) - largest), parts[i * $TOLDu + 3u] != 0xffffffffu);
      }
      log_mass = largest + log(sum_of_all(thread, mass));
    }
    if (thread == 0u && alternatives > 0u) {
      logprobs[at + 2u + 2u * n] = bitcast<u32>(before.value - log_mass);
      logprobs[at + 3u + 2u * n] = before.id;
    }
  }
  if (thread == 0u) {
    logprobs[at + 1u] = bitcast<u32>(log_mass);
  }
}
