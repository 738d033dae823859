// Scales of which each is a byte, bitsandbytes' double quantisation: map[byte] * absmax of its group + offset. Bytes
// [four blocks][row], the first block's lowest. A group is 256 blocks of a tensor, row by row, so each tensor in this
// matrix has what it needs in `nested`: 256 times a value of its map and its offset, then the absmax of each group that
// its rows meet. The first tensor's first block here is block FIRST_IN_GROUP of the first of these groups. The others
// (PARTS of them, with PART_FIRST for that) begin with row PART_AT, and with element PART_TABLE of nested.
// Defaults: ROWS = 64; SCALES = 64; CHUNKS_A_SCALE = 2; ROW_SCALES = 2; NESTED = 514
// Defaults: FIRST_IN_GROUP = 0; PARTS = 1; PART_AT = 32; PART_FIRST = 0; PART_TABLE = 257
@group(0) @binding(1) var<storage, read> scales: array<u32, $SCALES>;
@group(0) @binding(9) var<storage, read> nested: array<vec2f, $NESTED>;

fn load_scale(chunk: u32, row: u32) -> f32 {
  let block = chunk / $CHUNKS_A_SCALE;
  let code = (scales[(block / 4u) * $ROWS + row] >> (8u * (block % 4u))) & 255u;
  var in_part = $FIRST_IN_GROUPu + row * $ROW_SCALES + block;
  var table = 0u;
#repeat p PARTS
  {
    // The index is constant: no array is read at run time.
    let at = array<u32, $PARTS>($PART_AT)[$p];
    if (row >= at) {
      in_part = array<u32, $PARTS>($PART_FIRST)[$p] + (row - at) * $ROW_SCALES + block;
      table = array<u32, $PARTS>($PART_TABLE)[$p];
    }
  }
#end
  let value = nested[table + code];
  return value.x * nested[table + 256u + in_part / 256u].x + value.y;
}
