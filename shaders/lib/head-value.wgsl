// One value of a q or k head: dimension d of the HEAD_SIZE values of qkv that begin at `base`, normed (qk-norm) and
// rotated for `position`. LESS_BIAS: without the bias that was added to it.
// Defaults: HEADS = 4; KV_HEADS = 2; HEAD_SIZE = 16; QKV_WIDTH = 128; ROPE = true; LESS_BIAS = false
// Defaults: HEAD_NORM = false; NORM_PLUS_ONE = false; EPS = 1e-5
#if ROPE
#include rotate
#end

fn normed(base: u32, d: u32, rms: f32) -> f32 {
#if HEAD_NORM
#if NORM_PLUS_ONE
  return qkv[base + d] * rms * (head_norm[d] + 1.0);
#else
  return qkv[base + d] * rms * head_norm[d];
#end
#else
#if LESS_BIAS
  return qkv[base + d] - bias[base % $QKV_WIDTHu + d];
#else
  return qkv[base + d];
#end
#end
}

fn head_rms(base: u32) -> f32 {
#if HEAD_NORM
  var squares = 0.0;
  for (var d = 0u; d < $HEAD_SIZEu; d++) {
    squares += qkv[base + d] * qkv[base + d];
  }
  return inverseSqrt(squares / $HEAD_SIZE.0 + $EPS);
#else
  return 1.0;
#end
}

fn head_value(base: u32, d: u32, position: u32, rms: f32) -> f32 {
#if ROPE
  return rotated(d, f32(position), normed(base, d, rms), normed(base, partner(d), rms));
#else
  return normed(base, d, rms);
#end
}
