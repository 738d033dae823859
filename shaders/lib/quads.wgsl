// Four codes, one a byte, as numbers.
fn quad(bytes: u32) -> vec4f {
  return vec4f(vec4u(bytes, bytes >> 8u, bytes >> 16u, bytes >> 24u) & vec4u(255u));
}
