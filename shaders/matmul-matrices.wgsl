// Many tokens' linear layer by subgroup matrices: products of M x K weights and K x N inputs that a subgroup computes
// as one, whose sums are f32. A workgroup takes a tile of TILE_ROWS rows x TILE_TOKENS tokens as in matmul-tiled.wgsl:
// every weight is decoded once, and tiles lie in workgroup memory twice, with one barrier a step.
//
// Each subgroup has one of the tile's BLOCKS blocks, of which GRID_ROWS make its rows: 2 MATRIX_ROWS x MATRIX_TOKENS
// matrices of sums. A tile in memory is [row or token][STRIDE], where 16 bytes of each row are padding, so that
// neighbouring rows begin in different banks.
//
// GATED: the first half of the tile's rows is gate and the other up, of each block, too. Other flags as in matvec.wgsl.
// F16: tiles are f16. Inputs are 16 times smaller there, so that none overflows. SIZED: a subgroup has SUBGROUP_SIZE
// threads; else it may have fewer than it was expected to, and there are more of them than blocks.
// Defaults: TILE_ROWS = 32; TILE_TOKENS = 16; OUT_TILE_ROWS = 32; THREADS = 128; SLICE_THREADS = 128; F16 = false
// Defaults: M = 8; N = 8; K = 8; STEP_MATRICES = 1; BLOCKS = 4; GRID_ROWS = 2; MATRIX_ROWS = 1; MATRIX_TOKENS = 1
// Defaults: STRIDE = 12; ELEMENTS = 1152; INPUTS_AT = 768; STEPS = 4; VECTORS = 2; OCTETS = 1; DECODE_ROWS = 1
// Defaults: PART_LANES = 4; PARTS = 1; X_LOADS = 1; SIZED = false; SUBGROUP_SIZE = 128; MATRIX = matrix-q4; CHUNKS = 4
// Defaults: X_WORDS = 32; RAGGED = false; GATED = false; BIAS = false; OUT_ROWS = 64
enable chromium_experimental_subgroup_matrix;
enable subgroups;
#if SIZED
enable subgroup_size_control;
#end
#if F16
enable f16;
#end
#include $MATRIX
#include chunk-scale
@group(0) @binding(3) var<storage, read> x: array<vec4f>;
@group(0) @binding(7) var<storage, read> state: array<u32>;
#include finish

#if F16
alias Element = f16;
alias Four = vec4h;
const X_SCALE = 0.0625;
#else
alias Element = f32;
alias Four = vec4f;
const X_SCALE = 1.0;
#end
// Their parameters are columns, then rows.
alias Left = subgroup_matrix_left<Element, $K, $M>;
alias Right = subgroup_matrix_right<Element, $N, $K>;
alias Sums = subgroup_matrix_result<f32, $N, $M>;

// [of two][row][STRIDE], then the same of tokens
var<workgroup> tiles: array<Element, $ELEMENTS>;
// [block][half of its rows][token][row]: a matrix of sums of each, on its way out
var<workgroup> stage: array<f32, 2 * $BLOCKS * $M * $N>;

@compute @workgroup_size($THREADS)
#if SIZED
@subgroup_size($SUBGROUP_SIZE)
#end
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_id) block: u32) {
  prepare_table(lane);
  let tokens = state[1];
  // Tiles of the same rows follow each other, so that their weights are read from a cache.
  let first_token = group.x * $TILE_TOKENSu;
  let first_row = group.y * $OUT_TILE_ROWSu;
  let slice = 0u;
#include tile-rows
  // The words of the input that this thread fetches.
#repeat l X_LOADS
  let x_token$l = (lane + $lu * $THREADSu) / $VECTORSu;
  let x_word$l = (lane + $lu * $THREADSu) % $VECTORSu;
  let x_from$l = min(first_token + x_token$l, tokens - 1u) * $X_WORDSu;
#end
#repeat t MATRIX_TOKENS
#repeat h 2
#repeat r MATRIX_ROWS
  var sum$h_$r_$t = Sums();
#end
#end
#end
  // Where the block's rows and tokens begin in the tile.
  let block_row = (block % $GRID_ROWSu) * $MATRIX_ROWSu * $Mu;
  let block_token = (block / $GRID_ROWSu) * $MATRIX_TOKENSu * $Nu;

#repeat l X_LOADS
  store_input(0u, x_token$l, x_word$l, fetch(x_from$l, x_word$l));
#end
#repeat j DECODE_ROWS
  store_weights(0u, tile_row$j, part_lane, held$j, 0u, scale$j, offset$j);
#end
  workgroupBarrier();
  // The last step of all fetches one more, which nobody multiplies.
  for (var chunk = 0u; chunk < $CHUNKSu; chunk++) {
    let next = min(chunk + 1u, $CHUNKSu - 1u);
#repeat j DECODE_ROWS
    let next$j = load_chunk(next, row$j);
    let next_scale$j = chunk_scale(next, row$j);
    let next_offset$j = chunk_offset(next, row$j);
#end
    for (var s = 0u; s < $STEPSu; s++) {
      let step = chunk * $STEPSu + s;
      let buffer = step % 2u;
      let ends = s + 1u == $STEPSu;
      let next_step = select(s + 1u, 0u, ends);
#repeat l X_LOADS
      let v$l = fetch(x_from$l, min(step + 1u, $CHUNKSu * $STEPSu - 1u) * $VECTORSu + x_word$l);
#end
      if (block < $BLOCKSu) {
        let left_at = (buffer * $TILE_ROWSu + block_row) * $STRIDEu;
        let right_at = $INPUTS_ATu + (buffer * $TILE_TOKENSu + block_token) * $STRIDEu;
#repeat k STEP_MATRICES
#repeat h 2
#repeat r MATRIX_ROWS
        let left$k_$h_$r = subgroupMatrixLoad<Left, row_major>(
          &tiles, left_at + ($hu * ($TILE_ROWSu / 2u) + $ru * $Mu) * $STRIDEu + $ku * $Ku, $STRIDEu);
#end
#end
#repeat t MATRIX_TOKENS
        let right$k_$t = subgroupMatrixLoad<Right, col_major>(
          &tiles, right_at + $tu * $Nu * $STRIDEu + $ku * $Ku, $STRIDEu);
#repeat h 2
#repeat r MATRIX_ROWS
        sum$h_$r_$t = subgroupMatrixMultiplyAccumulate(left$k_$h_$r, right$k_$t, sum$h_$r_$t);
#end
#end
#end
#end
      }
#repeat j DECODE_ROWS
      if (ends) {
        held$j = next$j;
        scale$j = next_scale$j;
        offset$j = next_offset$j;
      }
      store_weights(1u - buffer, tile_row$j, part_lane, held$j, next_step, scale$j, offset$j);
#end
#repeat l X_LOADS
      store_input(1u - buffer, x_token$l, x_word$l, v$l);
#end
      workgroupBarrier();
    }
  }
#repeat t MATRIX_TOKENS
#repeat r MATRIX_ROWS
  if (block < $BLOCKSu) {
    subgroupMatrixStore<col_major>(&stage, 2u * block * $M * $N, sum0_$r_$t, $M);
    subgroupMatrixStore<col_major>(&stage, (2u * block + 1u) * $M * $N, sum1_$r_$t, $M);
  }
  workgroupBarrier();
  finish_stage(lane, first_row + $ru * $Mu, first_token + $tu * $Nu, tokens);
  workgroupBarrier();
#end
#end
}

// What lies in the stage; `row` and `token` are those of its first block.
fn finish_stage(thread: u32, row: u32, token: u32, tokens: u32) {
  for (var i = thread; i < $BLOCKSu * $M * $N; i += $THREADSu) {
    let block = i / ($M * $N);
    let element = i % ($M * $N);
    let own_token = token + (block / $GRID_ROWSu) * $MATRIX_TOKENSu * $Nu + element / $Mu;
    if (own_token < tokens) {
      let at = own_token * $OUT_STRIDEu;
      let own_row = row + (block % $GRID_ROWSu) * $MATRIX_ROWSu * $Mu + element % $Mu;
      let value = stage[2u * block * $M * $N + element] / X_SCALE;
      let other = stage[(2u * block + 1u) * $M * $N + element] / X_SCALE;
#if GATED
      finish(at, own_row, value, other);
#else
      finish(at, own_row, value, 0.0);
      finish(at, own_row + $TILE_ROWSu / 2u, other, 0.0);
#end
    }
  }
}

// A word of an input's row, four columns.
fn fetch(row: u32, word: u32) -> vec4f {
#if RAGGED
  return select(vec4f(0.0), x[row + word], word < $X_WORDSu);
#else
  return x[row + word];
#end
}

fn put(at: u32, values: vec4f) {
  let elements = Four(values);
#repeat i 4
  tiles[at + $iu] = elements[$i];
#end
}

fn store_input(buffer: u32, token: u32, word: u32, values: vec4f) {
  if (token < $TILE_TOKENSu) {
    put($INPUTS_ATu + (buffer * $TILE_TOKENSu + token) * $STRIDEu + 4u * word, values * X_SCALE);
  }
}

// This thread's octets of a step of a chunk, as values.
fn store_weights(buffer: u32, tile_row: u32, part_lane: u32, chunk: Chunk, step: u32, scale: f32, offset: f32) {
#repeat p PARTS
  {
    let part = part_lane + $pu * $PART_LANESu;
    if (part < $OCTETSu) {
      let values = octet(chunk, step * $OCTETSu + part);
      let at = (buffer * $TILE_ROWSu + tile_row) * $STRIDEu + 8u * part;
      put(at, values.a * scale + offset);
      put(at + 4u, values.b * scale + offset);
    }
  }
#end
}
