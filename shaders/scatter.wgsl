// Rows of a matrix from upload buffers (row-major) into the layout that kernels read: [chunk][row] codes and
// [block][row] scales. A thread moves one word. job: 0 rows of the slice, 1 first row in the matrix, 2 rows of the
// matrix, 3 words in a row, 4 words of a chunk (1 for scales).
// Defaults: THREADS = 64
@group(0) @binding(0) var<storage, read> job: array<u32, 8>;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read_write> destination: array<u32>;

@compute @workgroup_size($THREADS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * $THREADSu;
  let words = job[3];
  if (at >= job[0] * words) {
    return;
  }
  let row = at / words;
  let word = at % words;
  let chunk = word / job[4];
  destination[(chunk * job[2] + job[1] + row) * job[4] + word % job[4]] = source[at];
}
