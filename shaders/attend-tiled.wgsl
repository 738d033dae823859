// Prefill attention for real GPUs: ROWS query rows (QUERIES tokens x GROUP query heads of a KV head, padded) against
// the ring in tiles of SLOTS slots, whose keys and then values all rows share in workgroup memory, with an online
// softmax.
//
// In a tile a thread first computes 4 rows x 2 slots of the scores, then a share of the exponentials of one row
// (SHARES threads a row), then four dimensions of OUT_ROWS rows of the output, whose sums it keeps in registers.
// Which position a slot holds follows from the newest position and the capacity, never from a stored mask. append.wgsl
// has stored the new tokens.
// Defaults: THREADS = 64; ROWS = 8; QUERIES = 4; GROUP = 2; SLOTS = 16; SHARES = 8; QUADS = 4; STRIDE = 5
// Defaults: QUERY_QUADS = 40; TILE_QUADS = 80; SCORES = 128; MAXIMA = 64; ELEMENTS = 4; SCORE_TILES = 16; ROW_TILES = 2
// Defaults: OUT_GROUPS = 16; OUT_ROWS = 1; OUT_STRIDE = 64; KEY_VECTORS = 0; VALUE_VECTORS = 0; SCALE = 0.25
// Defaults: SOFTCAP = false; CAP = 50.0; WINDOWED = false; WINDOW = 512; PACKED = true
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
#include head-value
#include kv
#include ring
#include element

const NEVER = -3.0e38;

#if PACKED
// Two pairs of f16, as the ring has them.
alias Quad = vec2u;
#else
alias Quad = vec4f;
#end

var<workgroup> query: array<vec4f, $QUERY_QUADS>;   // [ROWS][STRIDE]
var<workgroup> tile: array<Quad, $TILE_QUADS>;      // [SLOTS][STRIDE]: keys, then values
var<workgroup> score: array<f32, $SCORES>;          // [SLOTS][ROWS]
var<workgroup> maxima: array<f32, $MAXIMA>;         // [SHARES][ROWS], at the end the weights
var<workgroup> factor: array<f32, $ROWS>;           // of a row's sums

fn packed(e: Element, part: u32) -> Quad {
#if PACKED
  return vec2u(e[2u * part], e[2u * part + 1u]);
#else
  return quad(e, part);
#end
}

fn tile_quad(at: u32) -> vec4f {
#if PACKED
  let q = tile[at];
  return vec4f(unpack2x16float(q.x), unpack2x16float(q.y));
#else
  return tile[at];
#end
}

@compute @workgroup_size($THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let start = state[0];
  let last = start + state[1] - 1u;
  let capacity = slots_in(arrayLength(&values) * $ARRAY_WORDSu);
  let kv_head = $FIRST_HEADu + group.y;
  let first_token = group.x * $QUERIESu;
  let head_word = group.y * $HEAD_WORDSu;

#if HEAD_NORM
  for (var row = thread; row < $ROWSu; row += $THREADSu) {
    let token = min(first_token + row / $GROUPu, state[1] - 1u);
    factor[row] = head_rms((state[40] + token) * $QKV_WIDTHu + (kv_head * $GROUPu + row % $GROUPu) * $HEAD_SIZEu);
  }
  workgroupBarrier();
#end
  for (var i = thread; i < $ROWSu * $QUADSu; i += $THREADSu) {
    let row = i / $QUADSu;
    let d = i % $QUADSu * 4u;
    let token = min(first_token + row / $GROUPu, state[1] - 1u);
    let base = (state[40] + token) * $QKV_WIDTHu + (kv_head * $GROUPu + row % $GROUPu) * $HEAD_SIZEu;
#if HEAD_NORM
    let rms = factor[row];
#else
    let rms = 1.0;
#end
    var q: vec4f;
#repeat i 4
    q[$i] = head_value(base, d + $iu, start + token, rms);
#end
    query[row * $STRIDEu + d / 4u] = q * $SCALE;
  }

  // Slots to look at: all that are written, and before the ring wraps none beyond the newest query of this group.
  let newest = min(start + first_token + $QUERIESu - 1u, last);
  let filled = select(capacity, newest + 1u, last < capacity);
  // The position in slot s is s + turn, one ring earlier for slots that the newest position has not passed yet.
  let newest_slot = last % capacity;
  let turn = i32(last) - i32(newest_slot);

  // Of the exponentials: a row and a share of it.
  let my_row = thread % $ROWSu;
  let my_share = thread / $ROWSu;
  var peak = NEVER;
  var weight = 0.0;
  // Of the output: four dimensions of some rows.
  let lane = thread % $QUADSu;
  let first_row = thread / $QUADSu * $OUT_ROWSu;
#repeat m OUT_ROWS
  var sum$m = vec4f(0.0);
#end

  for (var from_slot = 0u; from_slot < filled; from_slot += $SLOTSu) {
    workgroupBarrier();
    for (var i = thread; i < $SLOTSu * $ELEMENTSu; i += $THREADSu) {
      let slot = min(from_slot + i / $ELEMENTSu, capacity - 1u);
      let e = key_at(slot * ROW + head_word + i % $ELEMENTSu * $ELEMENT_WORDSu);
      let at = i / $ELEMENTSu * $STRIDEu + i % $ELEMENTSu * $PARTSu;
#repeat p PARTS
#if KV_INT8
      var k$p = packed(e, $pu) * key_scale(scale_at(capacity, slot, group.y));
#if KEY_BIAS
      let position$p = i32(slot) + turn - select(0, i32(capacity), slot > newest_slot);
      for (var j = 0u; j < 4u; j++) {
        k$p[j] += key_bias(kv_head, i % $ELEMENTSu * $LOADu + 4u * $pu + j, f32(position$p));
      }
#end
      tile[at + $pu] = k$p;
#else
      tile[at + $pu] = packed(e, $pu);
#end
#end
    }
    workgroupBarrier();

    for (var i = thread; i < $SCORE_TILESu; i += $THREADSu) {
      let row = i % $ROW_TILESu * 4u;
      let slot = i / $ROW_TILESu * 2u;
#repeat r 4
      var s$r = vec2f(0.0);
#end
      for (var w = 0u; w < $QUADSu; w++) {
        let k0 = tile_quad(slot * $STRIDEu + w);
        let k1 = tile_quad((slot + 1u) * $STRIDEu + w);
#repeat r 4
        let q$r = query[(row + $ru) * $STRIDEu + w];
        s$r += vec2f(dot(q$r, k0), dot(q$r, k1));
#end
      }
      for (var j = 0u; j < 2u; j++) {
        let its_slot = from_slot + slot + j;
        let position = i32(its_slot) + turn - select(0, i32(capacity), its_slot > newest_slot);
#repeat r 4
        {
          var s = s$r[j];
#if SOFTCAP
          s = $CAP * tanh(s / $CAP);
#end
          let at = i32(start + min(first_token + (row + $ru) / $GROUPu, state[1] - 1u));
#if WINDOWED
          let seen = its_slot < filled && position >= 0 && position <= at && at - position < $WINDOW;
#else
          let seen = its_slot < filled && position >= 0 && position <= at;
#end
          score[(slot + j) * $ROWSu + row + $ru] = select(NEVER, s, seen);
        }
#end
      }
    }
    workgroupBarrier();

    // The keys are done with: values in their place, and the rows' maxima.
    for (var i = thread; i < $SLOTSu * $ELEMENTSu; i += $THREADSu) {
      let slot = min(from_slot + i / $ELEMENTSu, capacity - 1u);
      let e = value_at(slot * ROW + head_word + i % $ELEMENTSu * $ELEMENT_WORDSu);
      let at = i / $ELEMENTSu * $STRIDEu + i % $ELEMENTSu * $PARTSu;
#repeat p PARTS
#if KV_INT8
      tile[at + $pu] = packed(e, $pu) * value_scale(scale_at(capacity, slot, group.y));
#else
      tile[at + $pu] = packed(e, $pu);
#end
#end
    }
    if (my_share < $SHARESu) {
      var best = NEVER;
      for (var slot = my_share; slot < $SLOTSu; slot += $SHARESu) {
        best = max(best, score[slot * $ROWSu + my_row]);
      }
      maxima[my_share * $ROWSu + my_row] = best;
    }
    workgroupBarrier();
    if (my_share < $SHARESu) {
      var best = peak;
      for (var share = 0u; share < $SHARESu; share++) {
        best = max(best, maxima[share * $ROWSu + my_row]);
      }
      let shrink = exp(peak - best);
      peak = best;
      weight *= shrink;
      for (var slot = my_share; slot < $SLOTSu; slot += $SHARESu) {
        let s = score[slot * $ROWSu + my_row];
        let p = select(0.0, exp(s - best), s > NEVER);
        weight += p;
        score[slot * $ROWSu + my_row] = p;
      }
      if (my_share == 0u) {
        factor[my_row] = shrink;
      }
    }
    workgroupBarrier();

    if (thread / $QUADSu < $OUT_GROUPSu) {
#repeat m OUT_ROWS
      sum$m *= factor[min(first_row + $mu, $ROWSu - 1u)];
#end
      for (var slot = 0u; slot < $SLOTSu; slot++) {
        let v = tile_quad(slot * $STRIDEu + lane);
        let at = slot * $ROWSu + first_row;
#repeat m OUT_ROWS
        sum$m += score[min(at + $mu, $SCORESu - 1u)] * v;
#end
      }
    }
  }

  workgroupBarrier();
  if (my_share < $SHARESu) {
    maxima[my_share * $ROWSu + my_row] = weight;
  }
  workgroupBarrier();
  if (thread / $QUADSu < $OUT_GROUPSu) {
#repeat m OUT_ROWS
    {
      let row = first_row + $mu;
      let token = first_token + row / $GROUPu;
      if (row < $QUERIESu * $GROUPu && token < state[1]) {
        var total = 0.0;
        for (var share = 0u; share < $SHARESu; share++) {
          total += maxima[share * $ROWSu + row];
        }
        let at = (state[40] + token) * $OUT_STRIDEu + (kv_head * $GROUPu + row % $GROUPu) * $HEAD_SIZEu + lane * 4u;
        let o = sum$m / total;
#repeat i 4
        out[at + $iu] = o[$i];
#end
      }
    }
#end
  }
}
