// x[t] = table[id[t]] * SCALE: a thread decodes 32 columns of one token. A table split by rows runs once a part.
// Defaults: THREADS = 64; MATRIX = matrix-q4; CHUNKS = 4; X_STRIDE = 32; FIRST_ROW = 0; SCALE = 1.0
#include $MATRIX
#include chunk-scale
@group(0) @binding(3) var<storage, read> ids: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(7) var<storage, read> state: array<u32>;

@compute @workgroup_size($THREADS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
  prepare_table(thread);
  let token = id.x / $CHUNKSu;
  let chunk = id.x % $CHUNKSu;
  if (token >= state[1] || ids[token] < $FIRST_ROWu || ids[token] >= $FIRST_ROWu + $ROWSu) {
    return;
  }
  let row = ids[token] - $FIRST_ROWu;
  let c = load_chunk(chunk, row);
  let scale = chunk_scale(chunk, row);
  let offset = chunk_offset(chunk, row);
  let at = token * $X_STRIDEu + chunk * 8u;
#repeat o 4
  {
    let part = octet(c, $ou);
    if (chunk * 8u + 2u * $ou < $X_STRIDEu) {
      out[at + 2u * $ou] = (part.a * scale + offset) * $SCALE;
    }
    if (chunk * 8u + 2u * $ou + 1u < $X_STRIDEu) {
      out[at + 2u * $ou + 1u] = (part.b * scale + offset) * $SCALE;
    }
  }
#end
}
