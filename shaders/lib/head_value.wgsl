// One value of a q or k head: dimension d of the HEAD_SIZE values of qkv that begin at `base`, normed (qk-norm) and
// rotated for `position`. LESS_BIAS: without the bias that was added to it.
#if ROPE
#include rope

// The dimension that turns together with d; itself where d does not turn.
fn partner(d: u32) -> u32 {
  let half = $ROPE_DIMu / 2u;
  return select(select(d, d - half, d < $ROPE_DIMu), d + half, d < half);
}

// `value`, of dimension d, turned with `other`, of its partner.
fn turned(d: u32, position: f32, value: f32, other: f32) -> f32 {
  if (d >= $ROPE_DIMu) {
    return value;
  }
  let half = $ROPE_DIMu / 2u;
  let turn = sin_cos(position * frequencies[d % half]) * $ROPE_MAGNITUDE;
  return value * turn.y + select(other, -other, d < half) * turn.x;
}
#end

fn normed(base: u32, d: u32, rms: f32) -> f32 {
#if HEAD_NORM
  return qkv[base + d] * rms * (head_norm[d]$NORM_OFFSET);
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
  return turned(d, f32(position), normed(base, d, rms), normed(base, partner(d), rms));
#else
  return normed(base, d, rms);
#end
}
