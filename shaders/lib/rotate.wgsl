// Rotary embedding of one value of a head, from the buffer `frequencies`.
// Defaults: ROPE_DIM = 16; ROPE_MAGNITUDE = 1.0
#include rope

// The dimension that rotates together with d; itself where d does not rotate.
fn partner(d: u32) -> u32 {
  let half = $ROPE_DIMu / 2u;
  return select(select(d, d - half, d < $ROPE_DIMu), d + half, d < half);
}

// `value`, of dimension d, rotated with `other`, of its partner.
fn rotated(d: u32, position: f32, value: f32, other: f32) -> f32 {
  if (d >= $ROPE_DIMu) {
    return value;
  }
  let half = $ROPE_DIMu / 2u;
  let rotation = sin_cos(position * frequencies[d % half]) * $ROPE_MAGNITUDE;
  return value * rotation.y + select(other, -other, d < half) * rotation.x;
}
