// One value of a q or k head: dimension d of the HEAD_SIZE values of qkv that begin at `base`, normed (qk-norm) and
// rotated for `position`. Q_NORM and K_NORM say for which of the two the kernel has a norm's weight. KEY_BIAS: the
// ring keeps keys without their bias, so that here it is taken from them again.
// Defaults: HEADS = 4; KV_HEADS = 2; HEAD_SIZE = 16; QKV_WIDTH = 128; ROPE = true; KEY_BIAS = false
// Defaults: HEAD_NORM = false; Q_NORM = false; K_NORM = false; NORM_PLUS_ONE = false; EPS = 1e-5
@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(3) var<storage, read> state: array<u32>;
#if ROPE
@group(0) @binding(4) var<storage, read> frequencies: array<f32>;
#include rotate
#end
#if Q_NORM
@group(0) @binding(5) var<storage, read> q_norm: array<f32>;
#end
#if KEY_BIAS
@group(0) @binding(7) var<storage, read> bias: array<f32>;
#end
#if K_NORM
@group(0) @binding(8) var<storage, read> k_norm: array<f32>;
#end

// Whether the head that begins at `base` is one of k, not of q.
fn is_key(base: u32) -> bool {
  return base % $QKV_WIDTHu >= $HEADSu * $HEAD_SIZEu;
}

fn norm_weight(base: u32, d: u32) -> f32 {
#if K_NORM
#if Q_NORM
  if (!is_key(base)) {
    return q_norm[d];
  }
#end
  return k_norm[d];
#else
#if Q_NORM
  return q_norm[d];
#else
  return 1.0;
#end
#end
}

fn normed(base: u32, d: u32, rms: f32) -> f32 {
#if HEAD_NORM
#if NORM_PLUS_ONE
  return qkv[base + d] * rms * (norm_weight(base, d) + 1.0);
#else
  return qkv[base + d] * rms * norm_weight(base, d);
#end
#else
#if KEY_BIAS
  if (is_key(base)) {
    return qkv[base + d] - bias[base % $QKV_WIDTHu + d];
  }
#end
  return qkv[base + d];
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

#if KEY_BIAS
// Dimension d of a KV head's bias in a key at `position`.
fn key_bias(kv_head: u32, d: u32, position: f32) -> f32 {
  let base = ($HEADSu + kv_head) * $HEAD_SIZEu;
#if ROPE
  return rotated(d, position, bias[base + d], bias[base + partner(d)]);
#else
  return bias[base + d];
#end
}
#end
