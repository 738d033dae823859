// A buffer of the ring in words (memory/kv.ts): values [slot][head][HEAD_WORDS], of int8 then scales [slot][head].
// Defaults: KV_F32 = false; KV_INT8 = false; FIRST_HEAD = 0; PART_HEADS = 2; HEAD_WORDS = 8; UNIT_WORDS = 1
const ROW = $PART_HEADSu * $HEAD_WORDSu;

#if KV_INT8
fn slots_in(words: u32) -> u32 {
  return words / (ROW + $PART_HEADSu);
}

fn scale_at(slots: u32, slot: u32, head: u32) -> u32 {
  return slots * ROW + slot * $PART_HEADSu + head;
}
#else
fn slots_in(words: u32) -> u32 {
  return words / ROW;
}
#end
