// Logits as integers of the same order: larger logits have larger keys, equal ones (both zeros) the same.
fn key_of(logit: f32) -> u32 {
  let bits = select(bitcast<u32>(logit), 0u, logit == 0.0);
  return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}
