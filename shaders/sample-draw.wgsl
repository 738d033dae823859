// Gumbel-max (src/execute/sampler/chain.ts): the largest logit / temperature + noise and its lowest id, of what is kept
// (KEEPS), a workgroup a part of the vocabulary. winners: [group] of (bits of the score, id).
// Defaults: THREADS = 256; VOCAB = 1024; GROUPS = 64; KEEPS = false
@group(0) @binding(0) var<storage, read> logits: array<f32, $VOCAB>;
#include winner
// as in sample-pick.wgsl
@group(0) @binding(2) var<storage, read> state: array<u32, 44>;
@group(0) @binding(4) var<storage, read_write> winners: array<vec2u>;
#if KEEPS
#include kept
#else
#include noise
#end

@compute @workgroup_size($THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  if (state[1] == 0u) {
    return;
  }
  let top = winner_of(thread);
#if KEEPS
  let now = kept_at(thread, state[31], top.value);
  let temperature = now.temperature;
#else
  let temperature = bitcast<f32>(state[4]);
#end
  let key = mix(state[2] ^ mix(state[7] ^ 0x9e3779b9u));
  var value = -3.4e38;
  var id = 0xffffffffu;
  for (var i = group.x * $THREADSu + thread; i < $VOCABu; i += $GROUPSu * $THREADSu) {
#if KEEPS
    if (!is_kept(now, logits[i], top.value)) {
      continue;
    }
#end
    // Less the largest, so that a low temperature costs no digits and overflows downwards; the largest itself has a
    // finite score whatever it is.
    let score = select((logits[i] - top.value) / temperature, 0.0, i == top.id) + gumbel(key, i);
    if (score > value) {
      value = score;
      id = i;
    }
  }
  workgroupBarrier();
  let winner = best_of_all(thread, value, id);
  if (thread == 0u) {
    winners[group.x] = vec2u(bitcast<u32>(winner.value), winner.id);
  }
}
