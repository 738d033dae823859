// norms[FIRST + r] = L2 norm of row r of W + b a: what DoRA divides by. A thread a row; a [RANK, columns in whole
// chunks], b [rows of the step, RANK], of which this matrix is a block that begins at FIRST.
// Defaults: THREADS = 64; MATRIX = matrix-q4; CHUNKS = 4; RANK = 8; FIRST = 0
#include $MATRIX
#include chunk-scale
@group(0) @binding(3) var<storage, read> a: array<vec4f>;
@group(0) @binding(4) var<storage, read> b: array<f32>;
@group(0) @binding(5) var<storage, read_write> norms: array<f32>;

@compute @workgroup_size($THREADS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
  prepare_table(thread);
  let row = id.x;
  if (row >= $ROWSu) {
    return;
  }
  let first = ($FIRSTu + row) * $RANKu;
  var squares = 0.0;
  for (var chunk = 0u; chunk < $CHUNKSu; chunk++) {
    let codes = load_chunk(chunk, row);
    let scale = chunk_scale(chunk, row);
    let offset = chunk_offset(chunk, row);
#repeat o 4
    {
      let values = octet(codes, $ou);
      var low = values.a * scale + offset;
      var high = values.b * scale + offset;
      for (var k = 0u; k < $RANKu; k++) {
        let at = (k * $CHUNKSu + chunk) * 8u + 2u * $ou;
        low += b[first + k] * a[at];
        high += b[first + k] * a[at + 1u];
      }
      squares += dot(low, low) + dot(high, high);
    }
#end
  }
  norms[$FIRSTu + row] = sqrt(squares);
}
