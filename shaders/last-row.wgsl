// Makes a pass of several tokens one of its last token alone: that token's rows of x and qkv become the first, and
// `state` says its position and one token. One workgroup.
// Defaults: THREADS = 256; X_WORDS = 32; QKV_WORDS = 32
@group(0) @binding(0) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>;

@compute @workgroup_size($THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
  let last = state[1] - 1u;
  for (var i = thread; i < $X_WORDSu; i += $THREADSu) {
    x[i] = x[last * $X_WORDSu + i];
  }
  for (var i = thread; i < $QKV_WORDSu; i += $THREADSu) {
    qkv[i] = qkv[last * $QKV_WORDSu + i];
  }
  // Nobody reads the number of tokens any more.
  storageBarrier();
  if (thread == 0u) {
    state[0] += last;
    state[1] = 1u;
  }
}
