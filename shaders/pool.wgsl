// Pools the hidden states of a pass onto what is there, a thread a column, by MODE: 0 adds them, 1 adds each times its
// position + 1, 2 keeps the largest, 3 puts that of the position FIRST, 4 that of the last token. States of positions
// before FIRST do not count: that word stands behind the POOLED_ROWS rows of `pooled`, of which this is row ROW. The
// pass may have others' tokens before these: state[40] of them.
// Defaults: THREADS = 64; COLUMNS = 128; POOLED_ROWS = 5; ROW = 0; MODE = 0
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> pooled: array<f32>;
@group(0) @binding(2) var<storage, read> state: array<u32>;

@compute @workgroup_size($THREADS)
fn main(@builtin(global_invocation_id) global: vec3u) {
  let column = global.x;
  if (column >= $COLUMNSu) {
    return;
  }
  let first = bitcast<u32>(pooled[$POOLED_ROWSu * $COLUMNSu]);
  let position = state[0];
  let tokens = state[1];
  let at = $ROWu * $COLUMNSu + column;
  var value = pooled[at];
  for (var t = 0u; t < tokens; t++) {
    if (position + t < first) {
      continue;
    }
    let one = x[(state[40] + t) * $COLUMNSu + column];
    if ($MODEu == 0u) {
      value += one;
    } else if ($MODEu == 1u) {
      value += f32(position + t + 1u) * one;
    } else if ($MODEu == 2u) {
      value = max(value, one);
    } else if ($MODEu == 4u || position + t == first) {
      value = one;
    }
  }
  pooled[at] = value;
}
