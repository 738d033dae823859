// Takes the best of what sample-max.wgsl (greedy) or sample-draw.wgsl found as the next token, hands it to the next
// step (ids[0], state) and keeps it for the host (sampled). One workgroup.
//
// state: 0 position of the first token of this pass, 1 tokens, 2 samples drawn, 3 ids written, then the request:
// 4 temperature bits, 5 top-k, 6 top-p bits, 7 seed; from 16 on ids that end the answer. When one of them was drawn
// there are 0 tokens in the next pass, which therefore does nothing, and neither does this.
// Defaults: THREADS = 256; GROUPS = 64; RING = 64; COUNTS = false; STOPS_AT = 16; STOPS = 8
#include winner
@group(0) @binding(2) var<storage, read_write> state: array<u32, 24>;
@group(0) @binding(3) var<storage, read_write> ids: array<u32>;
@group(0) @binding(4) var<storage, read_write> sampled: array<u32, $RING>;
#if COUNTS
// as in sample-adjust.wgsl
@group(0) @binding(5) var<storage, read_write> tokens: array<u32>;
#end

@compute @workgroup_size($THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
  let chosen = winner_of(thread).id;
  if (thread == 0u && state[1] > 0u) {
    ids[0] = chosen;
    sampled[state[3] % $RINGu] = chosen;
    var ends = false;
    for (var i = $STOPS_ATu; i < $STOPS_ATu + $STOPSu; i++) {
      ends = ends || state[i] == chosen;
    }
    state[0] += 1u;
    state[1] = select(1u, 0u, ends);
    state[2] += 1u;
    state[3] += 1u;
#if COUNTS
    tokens[chosen] += 1u;
#end
  }
}
