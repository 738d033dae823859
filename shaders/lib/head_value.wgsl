// One value of a q or k head: dimension d of the HEAD_SIZE values of qkv that begin at `base`, normed (qk-norm) and
// rotated for `position`.
#if ROPE
#include rope
#end

fn normed(base: u32, d: u32, rms: f32) -> f32 {
#if HEAD_NORM
  return qkv[base + d] * rms * (head_norm[d]$NORM_OFFSET);
#else
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
  let value = normed(base, d, rms);
#if ROPE
  if (d < $ROPE_DIMu) {
    let half = $ROPE_DIMu / 2u;
    let turn = sin_cos(f32(position) * frequencies[d % half]) * $ROPE_MAGNITUDE;
    if (d < half) {
      return value * turn.y - normed(base, d + half, rms) * turn.x;
    }
    return value * turn.y + normed(base, d - half, rms) * turn.x;
  }
#end
  return value;
}
