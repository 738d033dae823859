// The links of the sampler's chain that change single logits (src/execute/sampler/adjustments.ts), in its order.
//
// tokens: what is known of each token: [vocab] how often it was drawn, [vocab] bits of its bias, then the mask, a bit
// each.
// Defaults: THREADS = 64; VOCAB = 1024
@group(0) @binding(0) var<storage, read> logits: array<f32, $VOCAB>;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read_write> adjusted: array<f32, $VOCAB>;
// as in sample-pick.wgsl
@group(0) @binding(3) var<storage, read> state: array<u32, 24>;

const MASKED = -3.4e38;

@compute @workgroup_size($THREADS)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  if (state[1] == 0u) {
    return;
  }
  for (var id = global.x; id < $VOCABu; id += groups.x * $THREADSu) {
    var logit = logits[id];
    logit += bitcast<f32>(tokens[$VOCABu + id]);
    if (((tokens[2u * $VOCABu + id / 32u] >> (id % 32u)) & 1u) == 0u) {
      logit = MASKED;
    }
    adjusted[id] = logit;
  }
}
