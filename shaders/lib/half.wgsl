// A finite number of 16 bits. unpack2x16float may take the smallest (below 6.1e-5) for zero, where the scales of scales
// are at home.
fn half_value(bits: u32) -> f32 {
  let exponent = (bits >> 10u) & 31u;
  let mantissa = (bits & 1023u) | select(0u, 1024u, exponent > 0u);
  let magnitude = f32(mantissa) * bitcast<f32>((max(exponent, 1u) + 102u) << 23u);
  return select(magnitude, -magnitude, (bits & 0x8000u) != 0u);
}
