// The new tokens' keys (normed, rotated) and values into the ring: slot = position mod capacity, [slot][kv head][HEAD_SIZE].
// A thread writes two neighbouring dimensions of K or V. The capacity is the buffer's own length.
@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read_write> keys: array<u32>;
@group(0) @binding(2) var<storage, read_write> values: array<u32>;
@group(0) @binding(3) var<storage, read> state: array<u32>;
#if ROPE
@group(0) @binding(4) var<storage, read> frequencies: array<f32>;
#end
#if HEAD_NORM
@group(0) @binding(5) var<storage, read> head_norm: array<f32>;
#end
#include head_value

const PAIRS = $HEAD_SIZEu / 2u;
const ROW = $KV_HEADSu * $HEAD_SIZEu / 2u * $KV_WORDSu;

@compute @workgroup_size($THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let token = id.x / ($KV_HEADSu * PAIRS);
  if (token >= state[1]) {
    return;
  }
  let pair = id.x % ($KV_HEADSu * PAIRS);
  let head = pair / PAIRS;
  let d = 2u * (pair % PAIRS);
  let position = state[0] + token;
  let slot = position % (arrayLength(&keys) / ROW);
  let row = token * $QKV_WIDTHu;
  let k_base = row + ($HEADSu + head) * $HEAD_SIZEu;
  let v_base = row + ($HEADSu + $KV_HEADSu + head) * $HEAD_SIZEu;
  let rms = head_rms(k_base);
  let k = vec2f(head_value(k_base, d, position, rms), head_value(k_base, d + 1u, position, rms));
  let v = vec2f(qkv[v_base + d], qkv[v_base + d + 1u]);
  let at = slot * ROW + pair * $KV_WORDSu;
#if KV_F32
  keys[at] = bitcast<u32>(k.x);
  keys[at + 1u] = bitcast<u32>(k.y);
  values[at] = bitcast<u32>(v.x);
  values[at + 1u] = bitcast<u32>(v.y);
#else
  keys[at] = pack2x16float(k);
  values[at] = pack2x16float(v);
#end
}
