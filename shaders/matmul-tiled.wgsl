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
// INT8: tiles are whole numbers, 16 columns a word, and x is what int8-rows.wgsl makes. Their products are added up
// over a step of 32 columns, or of 16 where these have scales of their own (HALVES), and then scaled.
// Defaults: HALF_ROWS = 2; THREAD_TOKENS = 2; ROW_LANES = 8; TOKEN_LANES = 8; SLICE_THREADS = 64; SLICES = 1
// Defaults: SLICED = false; F16 = false; INT8 = false; TOTALS = false; TILE_ROWS = 32; TILE_TOKENS = 16
// Defaults: OUT_TILE_ROWS = 32; THREADS = 64; STEPS = 4; VECTORS = 2; LINE_ROWS = 4; OCTETS = 1; DECODE_ROWS = 1
// Defaults: PART_LANES = 2; PARTS = 1
// Defaults: WEIGHT_VECTORS = 64; INPUT_VECTORS = 32; X_LOADS = 1; BUFFERS = 2; MATRIX = matrix-q4; CHUNKS = 4
// Defaults: HALVES = false; CODE_UNIT = 1.0; X_CHUNK = 8; X_WORDS = 32
// Defaults: SLICE_CHUNKS = 4; GUARDED = false; GATED = false; BIAS = false; OUT_ROWS = 64
#if F16
enable f16;
#end
#include $MATRIX
#include chunk-scale
#if INT8
alias Fetched = vec4u;
#else
alias Fetched = vec4f;
#end
@group(0) @binding(3) var<storage, read> x: array<Fetched>;
@group(0) @binding(7) var<storage, read> state: array<u32>;
#include finish

#if F16
alias Four = vec4h;
alias Sum = vec2h;
const X_SCALE = 0.0625;

fn add_products(sum: Sum, w: Four, v: Four) -> Sum {
  return sum + w.xy * v.xy + w.zw * v.zw;
}
#else
#if INT8
alias Four = vec4u;
alias Sum = i32;
const X_SCALE = 1.0;

fn add_products(sum: Sum, w: Four, v: Four) -> Sum {
  return sum + dot4I8Packed(w.x, v.x) + dot4I8Packed(w.y, v.y) + dot4I8Packed(w.z, v.z) + dot4I8Packed(w.w, v.w);
}
#else
alias Four = vec4f;
alias Sum = f32;
const X_SCALE = 1.0;

// Not dot(): four fused multiply-adds, where a dot and a sum would be five instructions.
fn add_products(sum: Sum, w: Four, v: Four) -> Sum {
  return sum + w.x * v.x + w.y * v.y + w.z * v.z + w.w * v.w;
}
#end
#end

// [slice][of two][row or token][columns / 4, of INT8 / 16]
var<workgroup> weights: array<Four, $BUFFERS * $WEIGHT_VECTORS>;
var<workgroup> inputs: array<Four, $BUFFERS * $INPUT_VECTORS>;
#if INT8
// Of a row the scale and offset of its codes; of a token its unit, and that times the sum of its codes.
var<workgroup> scalings: array<vec2f, $BUFFERS * $TILE_ROWS>;
var<workgroup> units: array<vec2f, $BUFFERS * $TILE_TOKENS>;
#end

fn swizzle(row: u32) -> u32 {
  return (row / $LINE_ROWSu) % $VECTORSu;
}

@compute @workgroup_size($THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  prepare_table(thread);
  let tokens = state[1];
  // Tiles of the same rows follow each other, so that their weights are read from a cache.
  let first_token = group.x * $TILE_TOKENSu;
  let first_row = group.y * $OUT_TILE_ROWSu;
  let slice = thread / $SLICE_THREADSu;
  let lane = thread % $SLICE_THREADSu;
  let line = lane % $ROW_LANESu;
  let column = lane / $ROW_LANESu;
  let own = 2u * slice;

#include tile-rows
  // The words of the input that this thread fetches.
#repeat l X_LOADS
  let x_token$l = (lane + $lu * $SLICE_THREADSu) / $VECTORSu;
  let x_word$l = (lane + $lu * $SLICE_THREADSu) % $VECTORSu;
  let x_from$l = min(first_token + x_token$l, tokens - 1u) * $X_WORDSu;
  let x_to$l = x_token$l * $VECTORSu + (x_word$l ^ swizzle(x_token$l));
#end

#if INT8
  // and the units of one token
  let unit_from = min(first_token + lane, tokens - 1u) * $X_WORDSu + 2u;
#end

#repeat t THREAD_TOKENS
#repeat h 2
#repeat r HALF_ROWS
  var sum$h_$r_$t = Sum();
#if TOTALS
  var total$h_$r_$t = 0.0;
#end
#end
#end
#end
  let w_at = line * $VECTORSu;
  let x_at = column * $VECTORSu;

#repeat l X_LOADS
  store_input(own, x_token$l, x_to$l, fetch(x_from$l, slice * $X_CHUNKu + x_word$l));
#end
#if INT8
  store_unit(own, lane, fetch(unit_from, slice * $X_CHUNKu));
#end
#repeat j DECODE_ROWS
  store_weights(own, tile_row$j, part_lane, held$j, 0u, scale$j, offset$j);
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
      let next_at = select(chunk, chunk + $SLICESu, ends) * $X_CHUNKu;
      let next_word = next_at + next_step * $VECTORSu;
#repeat l X_LOADS
      let v$l = fetch(x_from$l, next_word + x_word$l);
#end
#if INT8
      let next_unit = fetch(unit_from, next_at);
#end
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
#if INT8
#repeat h 2
#repeat r HALF_ROWS
      let scaling$h_$r = scalings[from_buffer * $TILE_ROWSu + line + ($hu * $HALF_ROWSu + $ru) * $ROW_LANESu];
#end
#end
#repeat t THREAD_TOKENS
      {
        let unit = units[from_buffer * $TILE_TOKENSu + column + $tu * $TOKEN_LANESu];
#repeat h 2
#repeat r HALF_ROWS
        total$h_$r_$t += f32(sum$h_$r_$t) * (scaling$h_$r.x * unit.x);
#if OFFSET
        total$h_$r_$t += scaling$h_$r.y * unit.y;
#end
        sum$h_$r_$t = Sum();
#end
#end
      }
#end
#end
#repeat j DECODE_ROWS
      if (ends) {
        held$j = next$j;
        scale$j = next_scale$j;
        offset$j = next_offset$j;
      }
      store_weights(to_buffer, tile_row$j, part_lane, held$j, next_step, scale$j, offset$j);
#end
#repeat l X_LOADS
      store_input(to_buffer, x_token$l, x_to$l, v$l);
#end
#if INT8
      store_unit(to_buffer, lane, next_unit);
#end
      workgroupBarrier();
    }
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
#repeat t THREAD_TOKENS
  {
    let token = first_token + column + $tu * $TOKEN_LANESu;
    if (token < tokens) {
#repeat r HALF_ROWS
#if TOTALS
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
}

// A word of an input's row.
fn fetch(row: u32, word: u32) -> Fetched {
#if GUARDED
  return select(Fetched(), x[row + word], word < $X_WORDSu);
#else
  return x[row + word];
#end
}

fn store_input(buffer: u32, token: u32, to: u32, values: Fetched) {
  if (token < $TILE_TOKENSu) {
#if INT8
    inputs[buffer * $INPUT_VECTORSu + to] = values;
#else
    inputs[buffer * $INPUT_VECTORSu + to] = Four(values * X_SCALE);
#end
  }
}

#if INT8
fn store_unit(buffer: u32, token: u32, word: Fetched) {
  if (token < $TILE_TOKENSu) {
    units[buffer * $TILE_TOKENSu + token] = bitcast<vec2f>(word.xy);
  }
}

// Four codes, one a byte.
fn packed(codes: vec4f) -> u32 {
  return pack4xI8(vec4i(codes));
}
#end

// This thread's part of a step of a chunk: octets as values, or two of them as codes.
fn store_weights(buffer: u32, tile_row: u32, part_lane: u32, chunk: Chunk, step: u32, scale: f32, offset: f32) {
  let to = buffer * $WEIGHT_VECTORSu + tile_row * $VECTORSu;
#if INT8
  if (part_lane == 0u) {
#if HALVES
    let own_scale = select(chunk.scale.x, chunk.scale.y, step == 1u);
#else
    let own_scale = scale * $CODE_UNIT;
#end
    scalings[buffer * $TILE_ROWSu + tile_row] = vec2f(own_scale, offset);
  }
#end
#repeat p PARTS
  {
    let part = part_lane + $pu * $PART_LANESu;
#if INT8
    if (part < $VECTORSu) {
      let one = octet(chunk, 2u * (step * $VECTORSu + part));
      let two = octet(chunk, 2u * (step * $VECTORSu + part) + 1u);
      weights[to + (part ^ swizzle(tile_row))] = vec4u(packed(one.a), packed(one.b), packed(two.a), packed(two.b));
    }
#else
    if (part < $OCTETSu) {
      let values = octet(chunk, step * $OCTETSu + part);
      weights[to + ((2u * part) ^ swizzle(tile_row))] = Four(values.a * scale + offset);
      weights[to + ((2u * part + 1u) ^ swizzle(tile_row))] = Four(values.b * scale + offset);
    }
#end
  }
#end
}
