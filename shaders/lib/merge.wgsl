// What split attention left, merged: the sums [split][heads * HEAD_SIZE, padded], then per split and head the maximum
// and the weight sum, then the number of splits as bits (see split.wgsl).
// Defaults: HEADS = 4; HEAD_SIZE = 32; MAX_SPLITS = 16; COUNT_AT = 640
fn merged_word(word: u32) -> vec4f {
  if (word * 4u >= $COLUMNSu) {
    return vec4f(0.0);
  }
  let splits = bitcast<u32>(x[$COUNT_ATu / 4u].x);
  let head = (word * 4u) / $HEAD_SIZEu;
  var top = -3.0e38;
  for (var s = 0u; s < splits; s++) {
    top = max(top, split_stat(s, head, 0u));
  }
  var sum = vec4f(0.0);
  var weight = 0.0;
  for (var s = 0u; s < splits; s++) {
    let w = exp(split_stat(s, head, 0u) - top);
    weight += w * split_stat(s, head, 1u);
    sum += w * x[s * $X_WORDSu + word];
  }
  return sum / weight;
}

fn split_stat(split: u32, head: u32, which: u32) -> f32 {
  let at = (split * $HEADSu + head) * 2u + which;
  return x[$MAX_SPLITSu * $X_WORDSu + at / 4u][at % 4u];
}
