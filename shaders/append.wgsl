// The new tokens' keys and values into the ring: a workgroup takes a head of a token. The capacity follows from the
// buffer's own length. A buffer holds PART_HEADS of the KV heads, from FIRST_HEAD on.
// Defaults: THREADS = 64
#include head-value
#include kv
#include append

@compute @workgroup_size($THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = (state[40] + group.x) * $QKV_WIDTHu;
  let rms = head_rms(key_base(row, group.y));
  append_head(thread, rms, row, group.y, state[0] + group.x, slots_in(arrayLength(&keys)));
}
