// Many tokens' linear layer for real GPUs. A workgroup takes a tile of TILE_ROWS rows x TILE_TOKENS tokens, STEP
// columns at a time: every weight is decoded once a workgroup, and tiles of weights and of inputs lie in workgroup
// memory twice, so that the next are fetched while these are multiplied, with one barrier a step. A thread keeps
// 2 HALF_ROWS rows x THREAD_TOKENS tokens in registers. SLICES groups of threads may share the columns; their sums meet
// at the end.
//
// A tile is [row or token][columns / 4], four columns a word, whose words change places with the row (`swizzle`), so
// that eight neighbouring rows lie in different banks without padding.
//
// GATED: the first half of the tile's rows is gate and the other up. Other flags as in matvec.wgsl.
// F16: tiles are f16, and so are products and their sums over the 32 columns of a chunk, of which f32 sums are made.
// Inputs are 16 times smaller there, so that none overflows.
//
// MATRICES: subgroups multiply, matrices of M x K weights and of K x N inputs, and sums are f32. Each subgroup has one of
// the tile's BLOCKS blocks, GRID_ROWS of which are its rows: 2 MATRIX_ROWS x MATRIX_TOKENS matrices of sums. A tile is
// [row or token][STRIDE], and 16 bytes of each row are padding, so that neighbouring rows begin in different banks.
// Defaults: HALF_ROWS = 2; THREAD_TOKENS = 2; ROW_LANES = 8; TOKEN_LANES = 8; SLICE_THREADS = 64; SLICES = 1
// Defaults: SLICED = false; F16 = false; TILE_ROWS = 32; TILE_TOKENS = 16; OUT_TILE_ROWS = 32; THREADS = 64
// Defaults: STEPS = 4; VECTORS = 2; LINE_ROWS = 4; OCTETS = 1; DECODE_ROWS = 1; PART_LANES = 2; PARTS = 1
// Defaults: WEIGHT_VECTORS = 64; INPUT_VECTORS = 32; X_LOADS = 1; BUFFERS = 2; MATRIX = matrix-q4; CHUNKS = 4
// Defaults: SLICE_CHUNKS = 4; X_STRIDE = 32; GUARDED = false; GATED = false; BIAS = false; OUT_ROWS = 64
// Defaults: MATRICES = false; SUBGROUP_SIZE = 32; SIZED = false; M = 8; N = 8; K = 8; KS = 1; BLOCKS = 2; GRID_ROWS = 2
// Defaults: MATRIX_ROWS = 1; MATRIX_TOKENS = 2; STRIDE = 12; ELEMENTS = 1152; INPUTS_AT = 768
#if F16
enable f16;
#end
#if MATRICES
enable chromium_experimental_subgroup_matrix;
enable subgroups;
#end
#if SIZED
enable subgroup_size_control;
#end
#include $MATRIX
#include chunk-scale
@group(0) @binding(3) var<storage, read> x: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
#if BIAS
@group(0) @binding(6) var<storage, read> bias: array<f32>;
#end
@group(0) @binding(7) var<storage, read> state: array<u32>;
#if GATED
#include activation
#end
#include finish

#if F16
alias Element = f16;
alias Four = vec4h;
alias Sum = vec2h;
const X_SCALE = 0.0625;

fn add_products(sum: Sum, w: Four, v: Four) -> Sum {
  return sum + w.xy * v.xy + w.zw * v.zw;
}
#else
alias Element = f32;
alias Four = vec4f;
alias Sum = f32;
const X_SCALE = 1.0;

// Not dot(): four fused multiply-adds, where a dot and a sum would be five instructions.
fn add_products(sum: Sum, w: Four, v: Four) -> Sum {
  return sum + w.x * v.x + w.y * v.y + w.z * v.z + w.w * v.w;
}
#end

#if MATRICES
alias Left = subgroup_matrix_left<Element, $K, $M>;
alias Right = subgroup_matrix_right<Element, $N, $K>;
alias Sums = subgroup_matrix_result<f32, $N, $M>;

// [of two][row][STRIDE], then the same of tokens
var<workgroup> tiles: array<Element, $ELEMENTS>;
// [block][half of the rows][token][row]: matrices of sums on their way out
var<workgroup> stage: array<f32, 2 * $BLOCKS * $M * $N>;

fn put(at: u32, values: Four) {
#repeat i 4
  tiles[at + $iu] = values[$i];
#end
}
#else
// [slice][of two][row or token][columns / 4]
var<workgroup> weights: array<Four, $BUFFERS * $WEIGHT_VECTORS>;
var<workgroup> inputs: array<Four, $BUFFERS * $INPUT_VECTORS>;
#end

fn swizzle(row: u32) -> u32 {
  return (row / $LINE_ROWSu) % $VECTORSu;
}

@compute @workgroup_size($THREADS)
#if SIZED
@subgroup_size($SUBGROUP_SIZE)
#end
fn main(
#if MATRICES
  @builtin(subgroup_id) subgroup: u32,
#end
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32) {
  prepare_table(thread);
  let tokens = state[1];
  // Tiles of the same rows follow each other, so that their weights are read from a cache.
  let first_token = group.x * $TILE_TOKENSu;
  let first_row = group.y * $OUT_TILE_ROWSu;
#if SLICED
  let slice = thread / $SLICE_THREADSu;
#else
  let slice = 0u;
#end
  let lane = thread % $SLICE_THREADSu;
  let own = 2u * slice;

  // The rows of which this thread decodes octets, and which of each.
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
  // The words of the input that this thread fetches.
#repeat l X_LOADS
  let x_token$l = (lane + $lu * $SLICE_THREADSu) / $VECTORSu;
  let x_word$l = (lane + $lu * $SLICE_THREADSu) % $VECTORSu;
  let x_from$l = min(first_token + x_token$l, tokens - 1u) * $X_STRIDEu;
#if MATRICES
  let x_to$l = x_token$l * $STRIDEu + 4u * x_word$l;
#else
  let x_to$l = x_token$l * $VECTORSu + (x_word$l ^ swizzle(x_token$l));
#end
#end

#if MATRICES
#repeat t MATRIX_TOKENS
#repeat h 2
#repeat r MATRIX_ROWS
  var sum$h_$r_$t = Sums();
#end
#end
#end
  let w_at = (subgroup % $GRID_ROWSu) * $MATRIX_ROWSu * $Mu * $STRIDEu;
  let x_at = $INPUTS_ATu + (subgroup / $GRID_ROWSu) * $MATRIX_TOKENSu * $Nu * $STRIDEu;
#else
  let line = lane % $ROW_LANESu;
  let column = lane / $ROW_LANESu;
#repeat t THREAD_TOKENS
#repeat h 2
#repeat r HALF_ROWS
  var sum$h_$r_$t = Sum();
#if F16
  var total$h_$r_$t = 0.0;
#end
#end
#end
#end
  let w_at = line * $VECTORSu;
  let x_at = column * $VECTORSu;
#end

#repeat l X_LOADS
  store_input(own * $INPUT_VECTORSu, x_token$l, x_to$l, fetch(x_from$l, slice * 8u + x_word$l));
#end
#repeat j DECODE_ROWS
  store_weights(own * $WEIGHT_VECTORSu, tile_row$j, part_lane, held$j, 0u, scale$j, offset$j);
#end
  workgroupBarrier();
  // The last step of all fetches one more, which nobody multiplies.
  for (var n = 0u; n < $SLICE_CHUNKSu; n++) {
    let chunk = slice + n * $SLICESu;
    let next = min(chunk + $SLICESu, $CHUNKSu - 1u);
#repeat j DECODE_ROWS
    let next$j = load_chunk(next, row$j);
    let next_scale$j = chunk_scale(next, row$j);
    let next_offset$j = chunk_offset(next, row$j);
#end
    for (var s = 0u; s < $STEPSu; s++) {
      let step = n * $STEPSu + s;
      let from_buffer = own + step % 2u;
      let to_buffer = own + (step + 1u) % 2u;
      let ends = s + 1u == $STEPSu;
      let next_step = select(s + 1u, 0u, ends);
      let next_word = select(chunk, chunk + $SLICESu, ends) * 8u + next_step * $VECTORSu;
#repeat l X_LOADS
      let v$l = fetch(x_from$l, next_word + x_word$l);
#end
#if MATRICES
      // A subgroup may have fewer threads than it was expected to: there are more of them than blocks.
      if (subgroup < $BLOCKSu) {
#repeat k KS
#repeat h 2
#repeat r MATRIX_ROWS
        let w$k_$h_$r = subgroupMatrixLoad<Left, row_major>(
          &tiles,
          from_buffer * $WEIGHT_VECTORSu + w_at + ($hu * $TILE_ROWSu / 2u + $ru * $Mu) * $STRIDEu + $ku * $Ku,
          $STRIDEu);
#end
#end
#repeat t MATRIX_TOKENS
        let v$k_$t = subgroupMatrixLoad<Right, col_major>(
          &tiles, from_buffer * $INPUT_VECTORSu + x_at + $tu * $Nu * $STRIDEu + $ku * $Ku, $STRIDEu);
#repeat h 2
#repeat r MATRIX_ROWS
        sum$h_$r_$t = subgroupMatrixMultiplyAccumulate(w$k_$h_$r, v$k_$t, sum$h_$r_$t);
#end
#end
#end
#end
      }
#else
      for (var k = 0u; k < $VECTORSu; k++) {
        let w_from = from_buffer * $WEIGHT_VECTORSu + w_at + (k ^ swizzle(line));
        let v_from = from_buffer * $INPUT_VECTORSu + x_at + (k ^ swizzle(column));
#repeat h 2
#repeat r HALF_ROWS
        let w$h_$r = weights[w_from + ($hu * $HALF_ROWSu + $ru) * $ROW_LANESu * $VECTORSu];
#end
#end
#repeat t THREAD_TOKENS
        {
          let v = inputs[v_from + $tu * $TOKEN_LANESu * $VECTORSu];
#repeat h 2
#repeat r HALF_ROWS
          sum$h_$r_$t = add_products(sum$h_$r_$t, w$h_$r, v);
#end
#end
        }
#end
      }
#end
#repeat j DECODE_ROWS
      if (ends) {
        held$j = next$j;
        scale$j = next_scale$j;
        offset$j = next_offset$j;
      }
      store_weights(to_buffer * $WEIGHT_VECTORSu, tile_row$j, part_lane, held$j, next_step, scale$j, offset$j);
#end
#repeat l X_LOADS
      store_input(to_buffer * $INPUT_VECTORSu, x_token$l, x_to$l, v$l);
#end
      workgroupBarrier();
    }
#if !MATRICES
#if F16
#repeat t THREAD_TOKENS
#repeat h 2
#repeat r HALF_ROWS
    total$h_$r_$t += f32(sum$h_$r_$t.x) + f32(sum$h_$r_$t.y);
    sum$h_$r_$t = Sum();
#end
#end
#end
#end
#end
  }
#if SLICED
  // The tiles are no longer needed: the sums of all slices but the first go there, four rows a word.
  if (slice > 0u) {
#repeat t THREAD_TOKENS
    weights[((slice - 1u) * $THREAD_TOKENSu + $tu) * $SLICE_THREADSu + lane] = vec4f(sum0_0_$t, sum0_1_$t, sum1_0_$t, sum1_1_$t);
#end
  }
  workgroupBarrier();
  if (slice > 0u) {
    return;
  }
  for (var other = 0u; other < $SLICESu - 1u; other++) {
#repeat t THREAD_TOKENS
    let more$t = weights[(other * $THREAD_TOKENSu + $tu) * $SLICE_THREADSu + lane];
    sum0_0_$t += more$t.x;
    sum0_1_$t += more$t.y;
    sum1_0_$t += more$t.z;
    sum1_1_$t += more$t.w;
#end
  }
#end
#if MATRICES
#repeat t MATRIX_TOKENS
#repeat r MATRIX_ROWS
  if (subgroup < $BLOCKSu) {
    subgroupMatrixStore<col_major>(&stage, 2u * subgroup * $M * $N, sum0_$r_$t, $M);
    subgroupMatrixStore<col_major>(&stage, (2u * subgroup + 1u) * $M * $N, sum1_$r_$t, $M);
  }
  workgroupBarrier();
  finish_matrices(thread, first_row + $ru * $Mu, first_token + $tu * $Nu, tokens);
  workgroupBarrier();
#end
#end
#else
#repeat t THREAD_TOKENS
  {
    let token = first_token + column + $tu * $TOKEN_LANESu;
    if (token < tokens) {
#repeat r HALF_ROWS
#if F16
      let value$r = total0_$r_$t / X_SCALE;
      let other$r = total1_$r_$t / X_SCALE;
#else
      let value$r = sum0_$r_$t;
      let other$r = sum1_$r_$t;
#end
      let out_row$r = first_row + line + $ru * $ROW_LANESu;
#if GATED
      finish(token * $OUT_STRIDEu, out_row$r, value$r, other$r);
#else
      finish(token * $OUT_STRIDEu, out_row$r, value$r, 0.0);
      finish(token * $OUT_STRIDEu, out_row$r + $HALF_ROWSu * $ROW_LANESu, other$r, 0.0);
#end
#end
    }
  }
#end
#end
}

#if MATRICES
// The sums that lie in the stage, of each block a matrix of either half: `row` and `token` are the first block's.
fn finish_matrices(thread: u32, row: u32, token: u32, tokens: u32) {
  for (var i = thread; i < $BLOCKSu * $M * $N; i += $THREADSu) {
    let block = i / ($M * $N);
    let element = i % ($M * $N);
    let own_token = token + (block / $GRID_ROWSu) * $MATRIX_TOKENSu * $Nu + element / $Mu;
    if (own_token < tokens) {
      let own_row = row + (block % $GRID_ROWSu) * $MATRIX_ROWSu * $Mu + element % $Mu;
      let value = stage[2u * block * $M * $N + element] / X_SCALE;
      let other = stage[(2u * block + 1u) * $M * $N + element] / X_SCALE;
#if GATED
      finish(own_token * $OUT_STRIDEu, own_row, value, other);
#else
      finish(own_token * $OUT_STRIDEu, own_row, value, 0.0);
      finish(own_token * $OUT_STRIDEu, own_row + $TILE_ROWSu / 2u, other, 0.0);
#end
    }
  }
}
#end

// A word of an input's row, four columns.
fn fetch(row: u32, word: u32) -> vec4f {
#if GUARDED
  return select(vec4f(0.0), x[row + word], word < $X_STRIDEu);
#else
  return x[row + word];
#end
}

fn store_input(at: u32, token: u32, to: u32, values: vec4f) {
  if (token < $TILE_TOKENSu) {
#if MATRICES
    put($INPUTS_ATu + at + to, Four(values * X_SCALE));
#else
    inputs[at + to] = Four(values * X_SCALE);
#end
  }
}

// This thread's octets of a step of a chunk, as values.
fn store_weights(at: u32, tile_row: u32, part_lane: u32, chunk: Chunk, step: u32, scale: f32, offset: f32) {
#repeat p PARTS
  {
    let part = part_lane + $pu * $PART_LANESu;
    if (part < $OCTETSu) {
      let values = octet(chunk, step * $OCTETSu + part);
#if MATRICES
      let to = at + tile_row * $STRIDEu + 8u * part;
      put(to, Four(values.a * scale + offset));
      put(to + 4u, Four(values.b * scale + offset));
#else
      let to = at + tile_row * $VECTORSu;
      weights[to + ((2u * part) ^ swizzle(tile_row))] = Four(values.a * scale + offset);
      weights[to + ((2u * part + 1u) ^ swizzle(tile_row))] = Four(values.b * scale + offset);
#end
    }
  }
#end
}
