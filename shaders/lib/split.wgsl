// How decode attention splits the slots of a ring, and where a part leaves its results in `partials`: the sums
// [split][OUT_STRIDE], then per split and head the maximum and the weight sum, then at COUNT_AT the number of parts
// (kernels/attention.ts, read by merge.wgsl). A part that is alone leaves finished rows and a weight of 1.
// Defaults: MAX_SPLITS = 16; SPLIT_SLOTS = 64; WHOLE = 64; OUT_STRIDE = 64; COUNT_AT = 1088
struct Share { from_slot: u32, to_slot: u32, parts: u32 }

// The part `index` of `filled` slots; none where it begins beyond them.
fn share_of(filled: u32, index: u32) -> Share {
  let tiles = (filled + $SPLIT_SLOTSu - 1u) / $SPLIT_SLOTSu;
  let most = min(tiles, $MAX_SPLITSu);
  let size = select((tiles + most - 1u) / most * $SPLIT_SLOTSu, filled, filled <= $WHOLEu);
  let first = index * size;
  return Share(first, min(filled, first + size), (filled + size - 1u) / size);
}

fn sum_at(part: u32, head: u32) -> u32 {
  return part * $OUT_STRIDEu + head * $HEAD_SIZEu;
}

fn leave_stats(part: u32, head: u32, maximum: f32, weight: f32) {
  let at = $MAX_SPLITSu * $OUT_STRIDEu + (part * $HEADSu + head) * 2u;
  out[at] = maximum;
  out[at + 1u] = weight;
}
