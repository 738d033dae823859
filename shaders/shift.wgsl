// Keys of one layer that move to the front of their ring, into another buffer of the same size. A key that was turned
// for its position is turned back by as many positions as were dropped before it; its length, a magnitude included,
// stays. A workgroup takes a head of a position, a thread four neighbouring dimensions (or more such quads).
// Defaults: THREADS = 64; THREAD_QUADS = 1; HEAD_SIZE = 16; QUAD_WORDS = 2
@group(0) @binding(0) var<storage, read> old_keys: array<u32>;
@group(0) @binding(1) var<storage, read_write> keys: array<u32>;
@group(0) @binding(2) var<storage, read> frequencies: array<f32>;
// positions state[0]..state[1]-1 move by state[2]
@group(0) @binding(3) var<storage, read> state: array<u32>;
#include rotate
#include kv

#if KV_INT8
var<workgroup> largest: atomic<u32>;
#end

fn old_key(slots: u32, slot: u32, head: u32, d: u32) -> f32 {
  let words = slot * ROW + head * $HEAD_WORDSu;
#if KV_F32
  return bitcast<f32>(old_keys[words + d]);
#else
#if KV_INT8
  return unpack4x8snorm(old_keys[words + d / 4u])[d % 4u] * bitcast<f32>(old_keys[scale_at(slots, slot, head)]);
#else
  return unpack2x16float(old_keys[words + d / 2u])[d % 2u];
#end
#end
}

@compute @workgroup_size($THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let position = state[0] + group.z * groups.x + group.x;
  if (position >= state[1]) {
    return;
  }
  let slots = slots_in(arrayLength(&keys));
  let old_slot = position % slots;
  let slot = (position - state[2]) % slots;
  let back = -f32(state[2]);
#repeat e THREAD_QUADS
  let d$e = 4u * (thread + $eu * $THREADSu);
  var k$e = vec4f(0.0);
  if (d$e < $HEAD_SIZEu) {
#repeat i 4
    {
      let d = d$e + $iu;
      let value = old_key(slots, old_slot, group.y, d);
      k$e[$iu] = rotated(d, back, value, old_key(slots, old_slot, group.y, partner(d)));
    }
#end
#if KV_INT8
    let a = abs(k$e);
    // floats that are not negative order as their bits do
    atomicMax(&largest, bitcast<u32>(max(max(a.x, a.y), max(a.z, a.w))));
#end
  }
#end
#if KV_INT8
  workgroupBarrier();
  let scale = bitcast<f32>(atomicLoad(&largest));
  let divisor = select(scale, 1.0, scale == 0.0);
  if (thread == 0u) {
    keys[scale_at(slots, slot, group.y)] = bitcast<u32>(scale);
  }
#end
#repeat e THREAD_QUADS
  if (d$e < $HEAD_SIZEu) {
    let at = slot * ROW + group.y * $HEAD_WORDSu + d$e / 4u * $QUAD_WORDSu;
#if KV_F32
#repeat i 4
    keys[at + $iu] = bitcast<u32>(k$e[$iu]);
#end
#else
#if KV_INT8
    keys[at] = pack4x8snorm(k$e / divisor);
#else
    keys[at] = pack2x16float(k$e.xy);
    keys[at + 1u] = pack2x16float(k$e.zw);
#end
#end
  }
#end
}
