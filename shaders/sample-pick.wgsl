// Takes the best of what sample-max.wgsl (greedy) or sample-draw.wgsl found as the next token, hands it to the next
// step (ids, state) and keeps it for the host (sampled). One workgroup.
//
// state: 0 position of the first token of this pass, 1 tokens, 2 samples drawn, 3 ids written, then the request, in the
// order of REQUEST_WORDS (src/memory/gpu-scratch.ts): 4 temperature bits, 5 top-k, 6 top-p bits, 7 seed, 8 and 9 range
// and exponent of the temperature, 10 top-n-sigma, 11 top-h, 12 min-p, 13 typical-p, 14 and 15 probability and
// threshold of XTC, 16 epsilon, 17 eta, 18 to 20 penalties for repetition, presence and frequency, 21 on how many ids
// the first looks back, 22 alternatives that are told; 23 edits of this draw; from 24 on the passes that find what is
// kept, 31 their number; from 32 on ids that end the answer; 40 the token's row in a pass of several answers. When an
// id that ends the answer was drawn there are 0 tokens in the next pass, which therefore does nothing, and neither does
// this.
// Defaults: THREADS = 256; VOCAB = 1024; GROUPS = 64; RING = 64; COUNTS = false; STOPS_AT = 32; STOPS = 8
// Defaults: REPEATS_AT = 2080; TELLS = false; TOLD = 42
#include winner
@group(0) @binding(2) var<storage, read_write> state: array<u32, 44>;
@group(0) @binding(3) var<storage, read_write> ids: array<u32>;
@group(0) @binding(4) var<storage, read_write> sampled: array<u32, $RING>;
#if COUNTS
// as in sample-adjust.wgsl; at REPEATS_AT a ring of the ids on which the repetition penalty looks back
@group(0) @binding(5) var<storage, read_write> tokens: array<u32>;
#end
#if TELLS
@group(0) @binding(6) var<storage, read> logits: array<f32, $VOCAB>;
// as in sample-report.wgsl
@group(0) @binding(7) var<storage, read_write> logprobs: array<u32>;
#end

@compute @workgroup_size($THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
  let chosen = winner_of(thread).id;
  if (thread == 0u && state[1] > 0u) {
    ids[state[40]] = chosen;
    sampled[state[3] % $RINGu] = chosen;
#if TELLS
    let told = (state[3] % $RINGu) * $TOLDu;
    logprobs[told] = bitcast<u32>(logits[chosen] - bitcast<f32>(logprobs[told + 1u]));
#end
    var ends = false;
    for (var i = $STOPS_ATu; i < $STOPS_ATu + $STOPSu; i++) {
      ends = ends || state[i] == chosen;
    }
    state[0] += 1u;
    state[1] = select(1u, 0u, ends);
    state[2] += 1u;
    state[3] += 1u;
#if COUNTS
    if (state[18] > 0u) {
      if (state[21] > 0u) {
        let at = $REPEATS_ATu + state[0] % state[21];
        let left = tokens[at];
        if (left != 0xffffffffu) {
          tokens[left] -= 0x10000u;
        }
        tokens[at] = chosen;
      }
      tokens[chosen] += select(0x10000u, 0u, tokens[chosen] >= 0xffff0000u);
    }
    tokens[chosen] += select(1u, 0u, (tokens[chosen] & 0xffffu) == 0xffffu);
#end
  }
}
