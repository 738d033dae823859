// Attention of a few query rows of one KV head over the ring, with an online softmax over tiles of THREADS slots.
//
// A workgroup takes QUERIES tokens x GROUP query heads = M rows that share the KV head, and a range of slots.
// In a tile a thread first owns a slot (its M scores), then some dimensions of the output (their M sums).
// Which position a slot holds follows from the newest position and the capacity, never from a stored mask.
//
// SPLIT (decode): group.z takes a part of the slots and leaves sums, maximum and weight for merge.wgsl. The workgroup
// whose part has the newest slot first stores the new token's key and value there; no other reads that slot.
// Otherwise (prefill): group.x takes QUERIES tokens, which append.wgsl has stored, and writes the finished rows.
//
// The ring's buffers hold PART_HEADS of the KV heads, from FIRST_HEAD on. int8 keys were stored without their bias
// (KEY_BIAS), which is added, turned, as they are read.
// Defaults: THREADS = 64; GROUP = 2; QUERIES = 1; M = 2; QUERY_VALUES = 32; SCORE_VALUES = 128; TOP_VALUES = 16
// Defaults: SPLIT = false; SCALE = 0.25; SOFTCAP = false; CAP = 50.0; WINDOWED = false; WINDOW = 512
// Defaults: KEY_VECTORS = true; VALUE_VECTORS = 0; UNIT = 2; QUAD_WORDS = 2; LOAD_QUADS = 2; LOAD = 8
// Defaults: OUT_LANES = 8; OUT_UNITS = 1; OUT_SLOTS = 8; OUT_STRIDE = 64
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
#include head-value
#include kv
#if SPLIT
#include append
#include split
#else
#include ring
#end

const M = $M;
const NEVER = -3.0e38;

var<workgroup> query: array<f32, $QUERY_VALUES>;   // [M][HEAD_SIZE], later the sums
var<workgroup> score: array<f32, $SCORE_VALUES>;   // [M][THREADS]
var<workgroup> top: array<f32, $TOP_VALUES>;       // [M][8]: maxima of eighths of a tile

@compute @workgroup_size($THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let start = state[0];
  if (state[1] == 0u) {
    return;
  }
  let last = start + state[1] - 1u;
  let capacity = slots_in(arrayLength(&values));
  let kv_head = $FIRST_HEADu + group.y;
  let first_token = group.x * $QUERIESu;
  let rows = state[40] * $QKV_WIDTHu;

  for (var i = thread; i < $QUERY_VALUESu; i += $THREADSu) {
    let m = i / $HEAD_SIZEu;
    let token = min(first_token + m / $GROUPu, state[1] - 1u);
    let base = rows + token * $QKV_WIDTHu + (kv_head * $GROUPu + m % $GROUPu) * $HEAD_SIZEu;
    query[i] = head_value(base, i % $HEAD_SIZEu, start + token, head_rms(base)) * $SCALE;
  }

  // Slots to look at: all that are written, and before the ring wraps none beyond the newest query of this group.
  let newest = min(start + first_token + $QUERIESu - 1u, last);
  let filled = select(capacity, newest + 1u, last < capacity);
#if SPLIT
  let share = share_of(filled, group.z);
  let from_slot = share.from_slot;
  let to_slot = share.to_slot;
  if (from_slot >= filled) {
    return;
  }
#else
  let from_slot = 0u;
  let to_slot = filled;
#end
  // The position in slot s is s + turn, one ring earlier for slots that the newest position has not passed yet.
  let newest_slot = last % capacity;
  let turn = i32(last) - i32(newest_slot);

#repeat m M
  var peak$m = NEVER;
  var weight$m = 0.0;
  let at$m = i32(start + min(first_token + $mu / $GROUPu, state[1] - 1u));
#repeat e OUT_UNITS
  var sum$m_$e = vec$UNITf(0.0);
#end
#end
  let lane = thread % $OUT_LANESu;
  let lane_slot = thread / $OUT_LANESu;
#if SPLIT
  if (from_slot <= newest_slot && newest_slot < to_slot) {
    append_head(thread, head_rms(key_base(rows, group.y)), rows, group.y, last, capacity);
    storageBarrier();
  }
#end
  workgroupBarrier();

  for (var tile = from_slot; tile < to_slot; tile += $THREADSu) {
    let slot = tile + thread;
    let position = i32(slot) + turn - select(0, i32(capacity), slot > newest_slot);
    let readable = min(slot, capacity - 1u);
#repeat m M
    var s$m = 0.0;
#end
#if KEY_VECTORS
    let key_row = (readable * ROW + group.y * $HEAD_WORDSu) / 4u;
#else
    let key_row = readable * ROW + group.y * $HEAD_WORDSu;
#end
#if KV_INT8
    let scale_word = scale_at(capacity, readable, group.y);
    let value_scale = bitcast<f32>(values[scale_word]);
#if KEY_VECTORS
    let key_scale = bitcast<f32>(keys[scale_word / 4u][scale_word % 4u]);
#else
    let key_scale = bitcast<f32>(keys[scale_word]);
#end
#end
    for (var w = 0u; w < $HEAD_SIZEu / $LOADu; w++) {
#if KEY_VECTORS
      let k = keys[key_row + w];
#else
      var k: vec4u;
#repeat i QUAD_WORDS
      k[$iu] = keys[key_row + w * $QUAD_WORDSu + $iu];
#end
#end
#repeat e LOAD_QUADS
#if KV_F32
      let k$e = bitcast<vec4f>(k);
#else
#if KV_INT8
      let k$e = unpack4x8snorm(k[$eu]);
#else
      let k$e = vec4f(unpack2x16float(k[2u * $eu]), unpack2x16float(k[2u * $eu + 1u]));
#end
#end
#repeat m M
      {
        let q = $mu * $HEAD_SIZEu + w * $LOADu + 4u * $eu;
        s$m += dot(k$e, vec4f(query[q], query[q + 1u], query[q + 2u], query[q + 3u]));
      }
#end
#end
    }
#if KV_INT8
#repeat m M
    s$m *= key_scale;
#end
#end
#if KEY_BIAS
    for (var d = 0u; d < $HEAD_SIZEu; d++) {
      let b = key_bias(kv_head, d, f32(position));
#repeat m M
      s$m += b * query[$mu * $HEAD_SIZEu + d];
#end
    }
#end
#repeat m M
#if SOFTCAP
    s$m = $CAP * tanh(s$m / $CAP);
#end
#if WINDOWED
    let seen$m = slot < to_slot && position >= 0 && position <= at$m && at$m - position < $WINDOW;
#else
    let seen$m = slot < to_slot && position >= 0 && position <= at$m;
#end
    s$m = select(NEVER, s$m, seen$m);
    score[$mu * $THREADSu + thread] = s$m;
#end
    workgroupBarrier();
    for (var i = thread; i < M * 8u; i += $THREADSu) {
      var best = NEVER;
      let from_score = (i / 8u) * $THREADSu + (i % 8u) * ($THREADSu / 8u);
      for (var j = 0u; j < $THREADSu / 8u; j++) {
        best = max(best, score[from_score + j]);
      }
      top[i] = best;
    }
    workgroupBarrier();
#repeat m M
    {
      var best = peak$m;
      for (var j = 0u; j < 8u; j++) {
        best = max(best, top[$mu * 8u + j]);
      }
      let shrink = exp(peak$m - best);
      peak$m = best;
      let p = select(0.0, exp(s$m - best), seen$m);
      weight$m = weight$m * shrink + p;
#if KV_INT8
      score[$mu * $THREADSu + thread] = p * value_scale;
#else
      score[$mu * $THREADSu + thread] = p;
#end
#repeat e OUT_UNITS
      sum$m_$e *= shrink;
#end
    }
#end
    workgroupBarrier();
    if (lane_slot < $OUT_SLOTSu) {
      for (var j = lane_slot; j < min($THREADSu, to_slot - tile); j += $OUT_SLOTSu) {
        let value_row = (tile + j) * ROW + group.y * $HEAD_WORDSu + lane * $UNIT_WORDSu;
#repeat e OUT_UNITS
        let word$e = value_row + $eu * $OUT_LANESu * $UNIT_WORDSu;
#if KV_F32
        let v$e = vec2f(bitcast<f32>(values[word$e]), bitcast<f32>(values[word$e + 1u]));
#else
#if KV_INT8
        let v$e = unpack4x8snorm(values[word$e]);
#else
        let v$e = unpack2x16float(values[word$e]);
#end
#end
#end
#repeat m M
        {
          let p = score[$mu * $THREADSu + j];
#repeat e OUT_UNITS
          sum$m_$e += p * v$e;
#end
        }
#end
      }
    }
    workgroupBarrier();
  }

  // Sum over the slots' shares, in workgroup memory; the weights of a row over all threads likewise.
#repeat m M
  score[$mu * $THREADSu + thread] = weight$m;
#end
  for (var i = thread; i < $QUERY_VALUESu; i += $THREADSu) {
    query[i] = 0.0;
  }
  workgroupBarrier();
  for (var share = 0u; share < $OUT_SLOTSu; share++) {
    if (lane_slot == share) {
#repeat m M
#repeat e OUT_UNITS
#repeat i UNIT
      query[$mu * $HEAD_SIZEu + $UNITu * (lane + $eu * $OUT_LANESu) + $iu] += sum$m_$e[$iu];
#end
#end
#end
    }
    workgroupBarrier();
  }
  for (var i = thread; i < M * 8u; i += $THREADSu) {
    var total = 0.0;
    let from_score = (i / 8u) * $THREADSu + (i % 8u) * ($THREADSu / 8u);
    for (var j = 0u; j < $THREADSu / 8u; j++) {
      total += score[from_score + j];
    }
    top[i] = total;
  }
  workgroupBarrier();
#if SPLIT
  if (thread == 0u && kv_head == 0u && group.z == 0u) {
    out[$COUNT_AT] = bitcast<f32>(share.parts);
  }
  let alone = share.parts == 1u;
  for (var i = thread; i < $QUERY_VALUESu; i += $THREADSu) {
    out[sum_at(group.z, kv_head * $GROUPu) + i] = query[i] / select(1.0, row_weight(i / $HEAD_SIZEu), alone);
  }
#repeat m M
  if (thread == $mu) {
    leave_stats(group.z, kv_head * $GROUPu + $mu, peak$m, select(row_weight($mu), 1.0, alone));
  }
#end
#else
  for (var i = thread; i < $QUERY_VALUESu; i += $THREADSu) {
    let m = i / $HEAD_SIZEu;
    let token = first_token + m / $GROUPu;
    if (token < state[1]) {
      out[(state[40] + token) * $OUT_STRIDEu + (kv_head * $GROUPu + m % $GROUPu) * $HEAD_SIZEu + i % $HEAD_SIZEu] = query[i] / row_weight(m);
    }
  }
#end
}

fn row_weight(m: u32) -> f32 {
  var total = 0.0;
  for (var j = 0u; j < 8u; j++) {
    total += top[m * 8u + j];
  }
  return total;
}
