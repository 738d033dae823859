// The links of the sampler's chain that change single logits (src/execute/sampler/adjustments.ts), in its order; what
// is taken by single steps' rules stands in `edits`, which sample-edit.wgsl applies behind this.
//
// tokens: what is known of each token: [vocab] how often it came, in the answer (the lower 16 bits) and where the
// repetition penalty looks (the upper), [vocab] bits of its bias, then the mask, a bit each.
// Defaults: THREADS = 64; VOCAB = 1024
@group(0) @binding(0) var<storage, read> logits: array<f32, $VOCAB>;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read_write> adjusted: array<f32, $VOCAB>;
// as in sample-pick.wgsl
@group(0) @binding(3) var<storage, read> state: array<u32, 44>;

const MASKED = -3.4e38;

@compute @workgroup_size($THREADS)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  if (state[1] == 0u) {
    return;
  }
  let repetition = bitcast<f32>(state[18]);
  let presence = bitcast<f32>(state[19]);
  let frequency = bitcast<f32>(state[20]);
  for (var id = global.x; id < $VOCABu; id += groups.x * $THREADSu) {
    var logit = logits[id];
    logit += bitcast<f32>(tokens[$VOCABu + id]);
    let came = tokens[id];
    if (came > 0u && logit > -1e38) {
      if (came > 0xffffu) {
        logit = select(logit / repetition, logit * repetition, logit < 0.0);
      }
      if ((came & 0xffffu) > 0u) {
        logit -= presence + frequency * f32(came & 0xffffu);
      }
    }
    if (((tokens[2u * $VOCABu + id / 32u] >> (id % 32u)) & 1u) == 0u) {
      logit = MASKED;
    }
    adjusted[id] = logit;
  }
}
