// A scale, and maybe an offset, of each block of whole chunks, f32: [block][row].
// Defaults: ROWS = 64; SCALES = 128; CHUNKS_A_SCALE = 2; OFFSET = false
@group(0) @binding(1) var<storage, read> scales: array<f32, $SCALES>;

fn load_scale(chunk: u32, row: u32) -> f32 {
  return scales[(chunk / $CHUNKS_A_SCALE) * $ROWS + row];
}

#if OFFSET
@group(0) @binding(2) var<storage, read> offsets: array<f32, $SCALES>;

fn load_offset(chunk: u32, row: u32) -> f32 {
  return offsets[(chunk / $CHUNKS_A_SCALE) * $ROWS + row];
}
#end
