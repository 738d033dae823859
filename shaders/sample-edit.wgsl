// What the rules of one step take from single logits (src/execute/sampler/step-rules.ts). edits: pairs of an id, each
// once, and the bits of a number; state[23] says how many.
// Defaults: THREADS = 64; VOCAB = 1024
@group(0) @binding(0) var<storage, read> edits: array<vec2u>;
@group(0) @binding(1) var<storage, read_write> adjusted: array<f32, $VOCAB>;
// as in sample-pick.wgsl
@group(0) @binding(2) var<storage, read> state: array<u32, 44>;

@compute @workgroup_size($THREADS)
fn main(@builtin(global_invocation_id) global: vec3u) {
  if (state[1] == 0u || global.x >= state[23]) {
    return;
  }
  let edit = edits[global.x];
  // what is banned or masked stays what it is
  if (adjusted[edit.x] > -1e38) {
    adjusted[edit.x] -= bitcast<f32>(edit.y);
  }
}
