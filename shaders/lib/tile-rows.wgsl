// In a kernel whose workgroup decodes tiles of weights: the rows of which this thread decodes octets, which octets of
// each, and the first chunk of each row. The kernel has `lane`, a thread of a slice, `slice`, and `first_row`.
// Defaults: SLICE_THREADS = 64; TILE_ROWS = 32; OUT_TILE_ROWS = 32; DECODE_ROWS = 1; CHUNKS = 4; OUT_ROWS = 64
  let part_lane = lane / $TILE_ROWSu;
#repeat j DECODE_ROWS
  let tile_row$j = lane % $TILE_ROWSu + $ju * $SLICE_THREADSu;
#if GATED
  let row$j = min(first_row + tile_row$j % $OUT_TILE_ROWSu, $OUT_ROWSu - 1u) + select(0u, $OUT_ROWSu, tile_row$j >= $OUT_TILE_ROWSu);
#else
  let row$j = min(first_row + tile_row$j, $OUT_ROWSu - 1u);
#end
  var held$j = load_chunk(min(slice, $CHUNKSu - 1u), row$j);
  var scale$j = chunk_scale(min(slice, $CHUNKSu - 1u), row$j);
  var offset$j = chunk_offset(min(slice, $CHUNKSu - 1u), row$j);
#end
