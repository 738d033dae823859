// Keys of one layer that move to the front of their ring, into another buffer of the same size. A key that was turned for
// its position is turned back by as many positions as were dropped before it; its length, a magnitude included, stays.
// A thread takes two neighbouring dimensions of a head, in every num_workgroups.y-th position.
@group(0) @binding(0) var<storage, read> old_keys: array<u32>;
@group(0) @binding(1) var<storage, read_write> keys: array<u32>;
@group(0) @binding(2) var<storage, read> frequencies: array<f32>;
// positions state[0]..state[1]-1 move by state[2]
@group(0) @binding(3) var<storage, read> state: array<u32>;
#include rope

const PAIRS = $HEAD_SIZEu / 2u;
const ROW = $KV_HEADSu * PAIRS * $KV_WORDSu;
const HALF = $ROPE_DIMu / 2u;

// Dimension d of the head whose words begin at `head`.
fn old_key(head: u32, d: u32) -> f32 {
#if KV_F32
  return bitcast<f32>(old_keys[head + d]);
#else
  return unpack2x16float(old_keys[head + d / 2u])[d % 2u];
#end
}

fn turn_of(d: u32) -> vec2f {
  return sin_cos(-f32(state[2]) * frequencies[d % HALF]);
}

fn turned(head: u32, d: u32, turn: vec2f) -> f32 {
  let value = old_key(head, d);
  if (d >= $ROPE_DIMu) {
    return value;
  }
  if (d < HALF) {
    return value * turn.y - old_key(head, d + HALF) * turn.x;
  }
  return value * turn.y + old_key(head, d - HALF) * turn.x;
}

@compute @workgroup_size($THREADS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let pair = id.x;
  if (pair >= $KV_HEADSu * PAIRS) {
    return;
  }
  let slots = arrayLength(&keys) / ROW;
  let d = 2u * (pair % PAIRS);
  let first = turn_of(d);
  let second = turn_of(d + 1u);
  for (var position = state[0] + id.y; position < state[1]; position += groups.y) {
    let head = (position % slots) * ROW + (pair / PAIRS) * PAIRS * $KV_WORDSu;
    let k = vec2f(turned(head, d, first), turned(head, d + 1u, second));
    let at = ((position - state[2]) % slots) * ROW + pair * $KV_WORDSu;
#if KV_F32
    keys[at] = bitcast<u32>(k.x);
    keys[at + 1u] = bitcast<u32>(k.y);
#else
    keys[at] = pack2x16float(k);
#end
  }
}
