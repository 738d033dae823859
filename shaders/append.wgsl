// The new tokens' keys (normed, rotated) and values into the ring: slot = position mod capacity,
// [slot][kv head][HEAD_SIZE]. The capacity follows from the buffer's own length. A buffer holds PART_HEADS of the KV
// heads, from FIRST_HEAD on.
// Defaults: THREADS = 64; THREAD_QUADS = 1
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
#if LESS_BIAS
@group(0) @binding(7) var<storage, read> bias: array<f32>;
#end
#include head-value
#include kv

#if KV_INT8
// A workgroup takes a head of a token, a thread four neighbouring dimensions (or more such quads).
// The largest magnitude is a head's scale, in K and in V; floats that are not negative order as their bits do.
var<workgroup> largest: array<atomic<u32>, 2>;

fn largest_of(v: vec4f) -> u32 {
  let a = abs(v);
  return bitcast<u32>(max(max(a.x, a.y), max(a.z, a.w)));
}

@compute @workgroup_size($THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  if (group.x >= state[1]) {
    return;
  }
  let position = state[0] + group.x;
  let slots = slots_in(arrayLength(&keys));
  let slot = position % slots;
  let row = group.x * $QKV_WIDTHu;
  let k_base = row + ($HEADSu + $FIRST_HEADu + group.y) * $HEAD_SIZEu;
  let v_base = k_base + $KV_HEADSu * $HEAD_SIZEu;
  let rms = head_rms(k_base);
#repeat e THREAD_QUADS
  let d$e = 4u * (thread + $eu * $THREADSu);
  var k$e = vec4f(0.0);
  var v$e = vec4f(0.0);
  if (d$e < $HEAD_SIZEu) {
#repeat i 4
    k$e[$iu] = head_value(k_base, d$e + $iu, position, rms);
    v$e[$iu] = qkv[v_base + d$e + $iu];
#end
    atomicMax(&largest[0], largest_of(k$e));
    atomicMax(&largest[1], largest_of(v$e));
  }
#end
  workgroupBarrier();
  let scale = bitcast<vec2f>(vec2u(atomicLoad(&largest[0]), atomicLoad(&largest[1])));
  let divisor = select(scale, vec2f(1.0), scale == vec2f(0.0));
#repeat e THREAD_QUADS
  if (d$e < $HEAD_SIZEu) {
    let at = slot * ROW + group.y * $HEAD_WORDSu + d$e / 4u;
    keys[at] = pack4x8snorm(k$e / divisor.x);
    values[at] = pack4x8snorm(v$e / divisor.y);
  }
#end
  if (thread == 0u) {
    keys[scale_at(slots, slot, group.y)] = bitcast<u32>(scale.x);
    values[scale_at(slots, slot, group.y)] = bitcast<u32>(scale.y);
  }
}
#else
const PAIRS = $HEAD_SIZEu / 2u;

// A thread takes two neighbouring dimensions of K and of V.
@compute @workgroup_size($THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let token = id.x / ($PART_HEADSu * PAIRS);
  if (token >= state[1]) {
    return;
  }
  let pair = id.x % ($PART_HEADSu * PAIRS);
  let head = $FIRST_HEADu + pair / PAIRS;
  let d = 2u * (pair % PAIRS);
  let position = state[0] + token;
  let slot = position % slots_in(arrayLength(&keys));
  let row = token * $QKV_WIDTHu;
  let k_base = row + ($HEADSu + head) * $HEAD_SIZEu;
  let v_base = row + ($HEADSu + $KV_HEADSu + head) * $HEAD_SIZEu;
  let rms = head_rms(k_base);
  let k = vec2f(head_value(k_base, d, position, rms), head_value(k_base, d + 1u, position, rms));
  let v = vec2f(qkv[v_base + d], qkv[v_base + d + 1u]);
  let at = slot * ROW + pair * $UNIT_WORDSu;
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
#end
