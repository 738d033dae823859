// The sampler's randomness, as src/execute/sampler/noise.ts defines it.
fn mix(x: u32) -> u32 {
  var h = (x ^ (x >> 16u)) * 0x7feb352du;
  h = (h ^ (h >> 15u)) * 0x846ca68bu;
  return h ^ (h >> 16u);
}

fn gumbel(key: u32, id: u32) -> f32 {
  let w = (f32(mix(id ^ key) >> 9u) + 0.5) * 1.1920928955078125e-7;
  let e = select(-log(1.0 - w), w * (1.0 + w * (0.5 + w * (0.33333334 + w * 0.25))), w < 0.01);
  return -log(e);
}
