// A chunk's scale and offset for kernels that decode whole values; 1 and 0 where the matrix has none.
// Defaults: QUANTISED = true
fn chunk_scale(chunk: u32, row: u32) -> f32 {
#if QUANTISED
  return load_scale(chunk, row);
#else
  return 1.0;
#end
}

fn chunk_offset(chunk: u32, row: u32) -> f32 {
#if OFFSET
  return load_offset(chunk, row);
#else
  return 0.0;
#end
}
