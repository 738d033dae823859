// One token's linear layer: out = W x, W [ROWS, COLUMNS] quantised or dense, with everything around it fused in.
//
// A workgroup is LANES x SLICES threads. A lane owns TILE rows, LANES apart, so that neighbouring lanes read
// neighbouring words; the slices share the columns of a row and are summed at the end. With one slice there is no
// workgroup memory and no barrier, which is what software adapters like; real GPUs want many.
//
//   NORM        x is the residual stream: RMSNorm is applied on the way. Its weight multiplies x as it is read and
//               the sum of squares is gathered in the same loop, so that the scale is one multiply at the end.
//   STAGED      x, times the norm's weight, is read once into workgroup memory, from where all rows take it.
//   MERGE       x is the parts that split attention left (see attend.wgsl), merged as they are staged.
//   SUBGROUPS   slices of a subgroup are summed by shuffles, so that few sums pass through workgroup memory.
//   GATED       rows r and r + OUT_ROWS are gate and up; out = act(gate) * up.
//   ACCUMULATE  out += SCALE * W x (the residual).
//   CALLED_OFF  does nothing in a pass of no tokens, behind the end of an answer (shaders/sample-pick.wgsl).
// Defaults: THREADS = 32; LANES = 8; SLICES = 4; SLICED = true; TILE = 2
// Defaults: LANES_TILE = 16; PARTIALS = 160; SQUARES_AT = 128
// Defaults: MATRIX = matrix-q4; COLUMNS = 128; CHUNKS = 4; RAGGED = false; SCALED = true; ROW_SCALED = false; UNIT = 2
// Defaults: SUBGROUPS = false; STAGED = false; STAGED_WORDS = 32
// Defaults: X_WORDS = 32; NORM = false; NORM_PLUS_ONE = false; NORM_WORDS = 32; EPS = 1e-5; MERGE = false; LAST = false
// Defaults: STATE = true; CALLED_OFF = false
// Defaults: GATED = false; BIAS = false; OUT_ROWS = 64
#if SUBGROUPS
enable subgroups;
// how far apart lanes meet depends on the subgroup's size alone
diagnostic(off, subgroup_uniformity);
#end
#include $MATRIX
@group(0) @binding(3) var<storage, read> x: array<vec4f>;
#if NORM
@group(0) @binding(5) var<storage, read> norm_weight: array<vec4f, $NORM_WORDS>;
#end
#if STATE
@group(0) @binding(7) var<storage, read> state: array<u32>;
#end
#if SLICED
var<workgroup> partial: array<f32, $PARTIALS>;
#end
#if STAGED
var<workgroup> staged: array<vec4f, $STAGED_WORDS>;
#if MERGE
#include merge
#end
#end

#include finish

#if SUBGROUPS
@compute @workgroup_size($THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_size) subgroup_size: u32) {
#else
@compute @workgroup_size($THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
#end
#if CALLED_OFF
  // asked before the table's barrier, so that nobody waits for the answer
  let tokens = state[1];
#end
  prepare_table(thread);
#if CALLED_OFF
  if (tokens == 0u) {
    return;
  }
#end
  let lane = thread % $LANESu;
  let slice = thread / $LANESu;
  let first = group.x * $LANES_TILEu + lane;
#if LAST
  let x_at = (state[1] - 1u) * $X_WORDSu;
#else
  let x_at = 0u;
#end
#repeat r TILE
  let row$r = min(first + $ru * $LANESu, $OUT_ROWSu - 1u);
  var sum$r = 0.0;
#if GATED
  var up$r = 0.0;
#end
#end
#if NORM
  var squares = 0.0;
#end
#if STAGED
  for (var word = thread; word < $STAGED_WORDSu; word += $THREADSu) {
#if MERGE
    staged[word] = merged_word(word);
#else
    // Columns end inside the last chunk; what follows is another row's.
    let raw = select(vec4f(0.0), x[x_at + word], word < $COLUMNSu / 4u);
#if NORM
    squares += dot(raw, raw);
#if NORM_PLUS_ONE
    staged[word] = raw * (norm_weight[word] + 1.0);
#else
    staged[word] = raw * norm_weight[word];
#end
#else
    staged[word] = raw;
#end
#end
  }
  workgroupBarrier();
#end
  for (var chunk = slice * $UNIT; chunk < $CHUNKS; chunk += $SLICESu * $UNIT) {
#if SCALED
#repeat r TILE
    var part$r = 0.0;
#if GATED
    var upart$r = 0.0;
#end
#end
#end
#if OFFSET
    var x_sum = 0.0;
#end
    for (var c = chunk; c < chunk + $UNIT; c++) {
#repeat i 8
#if STAGED
      let x$i = staged[c * 8u + $iu];
#else
#if NORM
#if RAGGED
      // Columns end inside the chunk; what follows is another row's.
      let raw$i = select(vec4f(0.0), x[x_at + c * 8u + $iu], c * 8u + $iu < $COLUMNSu / 4u);
#else
      let raw$i = x[x_at + c * 8u + $iu];
#end
      squares += dot(raw$i, raw$i);
#if NORM_PLUS_ONE
      let x$i = raw$i * (norm_weight[c * 8u + $iu] + 1.0);
#else
      let x$i = raw$i * norm_weight[c * 8u + $iu];
#end
#else
      let x$i = x[x_at + c * 8u + $iu];
#end
#end
#end
#if OFFSET
      x_sum += dot(x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7, vec4f(1.0));
#end
#repeat r TILE
#if SCALED
      part$r += dot_chunk(load_chunk(c, row$r), x0, x1, x2, x3, x4, x5, x6, x7);
#if GATED
      upart$r += dot_chunk(load_chunk(c, row$r + $OUT_ROWSu), x0, x1, x2, x3, x4, x5, x6, x7);
#end
#else
      sum$r += dot_chunk(load_chunk(c, row$r), x0, x1, x2, x3, x4, x5, x6, x7);
#if GATED
      up$r += dot_chunk(load_chunk(c, row$r + $OUT_ROWSu), x0, x1, x2, x3, x4, x5, x6, x7);
#end
#end
#end
    }
#if SCALED
#repeat r TILE
    sum$r += part$r * load_scale(chunk, row$r);
#if GATED
    up$r += upart$r * load_scale(chunk, row$r + $OUT_ROWSu);
#end
#if OFFSET
    sum$r += x_sum * load_offset(chunk, row$r);
#if GATED
    up$r += x_sum * load_offset(chunk, row$r + $OUT_ROWSu);
#end
#end
#end
#end
  }
#if ROW_SCALED
#repeat r TILE
  sum$r *= load_scale(0u, row$r);
#if GATED
  up$r *= load_scale(0u, row$r + $OUT_ROWSu);
#end
#end
#end
#if SLICED
#if SUBGROUPS
  // Threads of a subgroup that are LANES apart have the same rows. What a subgroup leaves is a share of each.
  let share_threads = clamp(subgroup_size, $LANESu, $THREADSu);
  for (var apart = $LANESu; apart < share_threads; apart *= 2u) {
#repeat r TILE
    sum$r += subgroupShuffleXor(sum$r, apart);
#if GATED
    up$r += subgroupShuffleXor(up$r, apart);
#end
#end
#if NORM
#if !STAGED
    squares += subgroupShuffleXor(squares, apart);
#end
#end
  }
  let shares = $THREADSu / share_threads;
  let place = (thread / share_threads) * $LANESu + lane;
  if (thread % share_threads < $LANESu) {
#else
  let shares = $SLICESu;
  let place = thread;
  {
#end
#repeat r TILE
    partial[$ru * $THREADSu + place] = sum$r;
#if GATED
    partial[($TILEu + $ru) * $THREADSu + place] = up$r;
#end
#end
#if NORM
#if !STAGED
    partial[$SQUARES_ATu + place] = squares;
#end
#end
  }
#if NORM
#if STAGED
  let square_shares = $THREADSu / min(subgroup_size, $THREADSu);
  let square_share = subgroupAdd(squares);
  if (thread % subgroup_size == 0u) {
    partial[$SQUARES_ATu + thread / subgroup_size] = square_share;
  }
#end
#end
  workgroupBarrier();
#if NORM
  var all_squares = 0.0;
#if STAGED
  for (var s = 0u; s < square_shares; s++) {
    all_squares += partial[$SQUARES_ATu + s];
  }
#else
  for (var s = 0u; s < shares; s++) {
    all_squares += partial[$SQUARES_ATu + s * $LANESu];
  }
#end
  let rms = inverseSqrt(all_squares / $COLUMNS.0 + $EPS);
#end
  for (var o = thread; o < $LANES_TILEu; o += $THREADSu) {
    let tile = o / $LANESu;
    let first_sum = tile * $THREADSu + o % $LANESu;
    var total = 0.0;
#if GATED
    var total_up = 0.0;
#end
    for (var s = 0u; s < shares; s++) {
      total += partial[first_sum + s * $LANESu];
#if GATED
      total_up += partial[$TILEu * $THREADSu + first_sum + s * $LANESu];
#end
    }
    let row = group.x * $LANES_TILEu + o;
#if NORM
    total *= rms;
#if GATED
    total_up *= rms;
#end
#end
#if GATED
    finish(0u, row, total, total_up);
#else
    finish(0u, row, total, 0.0);
#end
  }
#else
#if NORM
  let rms = inverseSqrt(squares / $COLUMNS.0 + $EPS);
#end
#repeat r TILE
#if NORM
  sum$r *= rms;
#if GATED
  up$r *= rms;
#end
#end
#if GATED
  finish(0u, first + $ru * $LANESu, sum$r, up$r);
#else
  finish(0u, first + $ru * $LANESu, sum$r, 0.0);
#end
#end
#end
}

fn dot_chunk(c: Chunk, x0: vec4f, x1: vec4f, x2: vec4f, x3: vec4f, x4: vec4f, x5: vec4f, x6: vec4f, x7: vec4f) -> f32 {
  let o0 = octet(c, 0u);
  let o1 = octet(c, 1u);
  let o2 = octet(c, 2u);
  let o3 = octet(c, 3u);
  return dot(o0.a, x0) + dot(o0.b, x1) + dot(o1.a, x2) + dot(o1.b, x3)
    + dot(o2.a, x4) + dot(o2.b, x5) + dot(o3.a, x6) + dot(o3.b, x7);
}
