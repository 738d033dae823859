// Scales of which each is a byte, bitsandbytes' double quantisation: map[byte] * absmax of its group + offset. Bytes
// [four blocks][row], the first block's lowest. A group is 256 blocks of a tensor, row by row, so each tensor in this
// matrix (PARTS of them: from row PART_AT on) has what it needs in `nested`, from PART_TABLE on: its offset, its map,
// and the absmax of the groups that its rows meet; its first block here is the PART_FIRST-th of the first of them.
// Defaults: ROWS = 64; SCALES = 64; CHUNKS_A_SCALE = 2; ROW_SCALES = 2; NESTED = 258
// Defaults: PARTS = 1; PART_AT = 0; PART_FIRST = 0; PART_TABLE = 0
@group(0) @binding(1) var<storage, read> scales: array<u32, $SCALES>;
@group(0) @binding(9) var<storage, read> nested: array<f32, $NESTED>;

const PART_AT = array<u32, $PARTS>($PART_AT);
const PART_FIRST = array<u32, $PARTS>($PART_FIRST);
const PART_TABLE = array<u32, $PARTS>($PART_TABLE);

fn load_scale(chunk: u32, row: u32) -> f32 {
  let block = chunk / $CHUNKS_A_SCALE;
  let code = (scales[(block / 4u) * $ROWS + row] >> (8u * (block % 4u))) & 255u;
  // The index is constant in each of the lines: no array is read at run time.
  var in_part = PART_FIRST[0] + row * $ROW_SCALES;
  var table = PART_TABLE[0];
#repeat p PARTS
  if (row >= PART_AT[$p]) {
    in_part = PART_FIRST[$p] + (row - PART_AT[$p]) * $ROW_SCALES;
    table = PART_TABLE[$p];
  }
#end
  return nested[table + 1u + code] * nested[table + 257u + (in_part + block) / 256u] + nested[table];
}
