#if SUBGROUPS
enable subgroups;
#end
// Decode attention for real GPUs: one token's GROUP query heads of a KV head over a part of the ring's slots.
//
// LANES threads share a slot: each reads 16 bytes of its key and of its value (UNITS times), next to its neighbours',
// and keeps those dimensions of ROWS query heads and of their sums in registers. GROUPS such threads' groups walk over
// the slots, SLOTS of them at once, each with a maximum and weights of its own; only their results meet in workgroup
// memory. SETS of the groups share the query heads, where one thread cannot keep them all.
//
// A score is the sum of its lanes' products: by shuffles within a subgroup (SUBGROUPS, whose size LANES divides), so
// that the loop has no barrier, or through workgroup memory with two. Which invocation is in which subgroup is asked,
// not assumed: subgroups are numbered as they come.
//
// The workgroup whose part has the newest slot first stores the new token's key and value there; no other reads that
// slot.
// Defaults: THREADS = 64; LANES = 4; LANE_STEPS = 2; GROUPS = 16; UNITS = 1; ELEMENTS = 4
// Defaults: GROUP = 2; ROWS = 2; SETS = 1; STREAMS = 16; SLOTS = 2
// Defaults: SUBGROUPS = false; POOL = 512; HALF = 256; GROUP_ROWS = 32; SCORES = 64; SQUARES = 24
// Defaults: KEY_VECTORS = 0; VALUE_VECTORS = 0; SCALE = 0.25
// Defaults: SOFTCAP = false; CAP = 50.0; WINDOWED = false; WINDOW = 512
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
#include head-value
#include kv
#include append
#include split
#include element

const NEVER = -3.0e38;

var<workgroup> pool: array<f32, $POOL>;            // query heads, then lanes' products, then groups' sums
var<workgroup> peaks: array<f32, $GROUP_ROWS>;     // [ROWS][GROUPS], of each group
var<workgroup> weights: array<f32, $GROUP_ROWS>;
var<workgroup> row_peak: array<f32, $GROUP>;
var<workgroup> row_weight: array<f32, $GROUP>;
#if SUBGROUPS
var<workgroup> numbered: atomic<u32>;
#else
var<workgroup> scores: array<f32, $SCORES>;        // [SLOTS][ROWS][GROUPS]
#end
#if HEAD_NORM
var<workgroup> squares: array<f32, $SQUARES>;      // [GROUP + 1][8]: of eighths of the query heads and of the key

fn inverse_rms(row: u32) -> f32 {
  var total = 0.0;
  for (var i = 0u; i < 8u; i++) {
    total += squares[row * 8u + i];
  }
  return inverseSqrt(total / $HEAD_SIZE.0 + $EPS);
}
#else
fn inverse_rms(row: u32) -> f32 {
  return 1.0;
}
#end

@compute @workgroup_size($THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
#if SUBGROUPS
  @builtin(subgroup_invocation_id) invocation: u32,
  @builtin(subgroup_size) subgroup: u32,
#end
  @builtin(local_invocation_index) index: u32,
) {
  // behind the end of an answer (sample-pick.wgsl)
  if (state[1] == 0u) {
    return;
  }
  let last = state[0] + state[1] - 1u;
  let capacity = slots_in(arrayLength(&values) * $ARRAY_WORDSu);
  let kv_head = $FIRST_HEADu + group.y;
  let filled = min(capacity, last + 1u);
  let share = share_of(filled, group.z);
  if (share.from_slot >= filled) {
    return;
  }
#if SUBGROUPS
  var before = 0u;
  if (subgroupElect()) {
    before = atomicAdd(&numbered, subgroup);
  }
  let thread = subgroupBroadcastFirst(before) + invocation;
#else
  let thread = index;
#end
  let lane = thread % $LANESu;
  let member = thread / $LANESu;
  let first_row = (member % $SETSu) * $ROWSu;
  let stream = member / $SETSu;

  // The query heads, normed and turned, through workgroup memory; the newest key and value into the ring.
  let token_row = state[40] * $QKV_WIDTHu;
  let q_base = token_row + kv_head * $GROUPu * $HEAD_SIZEu;
  let k_base = token_row + ($HEADSu + kv_head) * $HEAD_SIZEu;
#if HEAD_NORM
  for (var i = index; i < $SQUARESu; i += $THREADSu) {
    let base = select(k_base, q_base + i / 8u * $HEAD_SIZEu, i / 8u < $GROUPu);
    var sum = 0.0;
    for (var d = i % 8u; d < $HEAD_SIZEu; d += 8u) {
      sum += qkv[base + d] * qkv[base + d];
    }
    squares[i] = sum;
  }
  workgroupBarrier();
#end
  for (var i = index; i < $GROUPu * $HEAD_SIZEu; i += $THREADSu) {
    let row = i / $HEAD_SIZEu;
    pool[i] = head_value(q_base + row * $HEAD_SIZEu, i % $HEAD_SIZEu, last, inverse_rms(row)) * $SCALE;
  }
  let newest_slot = last % capacity;
  if (share.from_slot <= newest_slot && newest_slot < share.to_slot) {
    append_head(index, inverse_rms($GROUPu), token_row, group.y, last, capacity);
    storageBarrier();
  }
  workgroupBarrier();

#repeat m ROWS
  let row$m = min(first_row + $mu, $GROUPu - 1u);
  var peak$m = NEVER;
  var weight$m = 0.0;
#repeat e UNITS
#repeat p PARTS
  var q$m_$e_$p = vec4f(0.0);
  var sum$m_$e_$p = vec4f(0.0);
#end
#end
#end
#repeat e UNITS
  // Lanes beyond the head's end read its last element, and have no query there.
  let element$e = min(lane + $eu * $LANESu, $ELEMENTSu - 1u);
  if (lane + $eu * $LANESu < $ELEMENTSu) {
#repeat m ROWS
#repeat p PARTS
    {
      let at = row$m * $HEAD_SIZEu + element$e * $LOADu + 4u * $pu;
      q$m_$e_$p = vec4f(pool[at], pool[at + 1u], pool[at + 2u], pool[at + 3u]);
    }
#end
#end
  }
#end
#if !SUBGROUPS
  workgroupBarrier();
#end

  // The position in slot s is s + turn, one ring earlier for slots that the newest position has not passed yet.
  let turn = i32(last) - i32(newest_slot);
  for (var tile = share.from_slot; tile < share.to_slot; tile += $STREAMSu * $SLOTSu) {
#repeat j SLOTS
    let slot$j = tile + stream + $ju * $STREAMSu;
    let read$j = min(slot$j, share.to_slot - 1u);
#repeat e UNITS
    let k$j_$e = key_at(read$j * ROW + group.y * $HEAD_WORDSu + element$e * $ELEMENT_WORDSu);
    let v$j_$e = value_at(read$j * ROW + group.y * $HEAD_WORDSu + element$e * $ELEMENT_WORDSu);
#end
#if KV_INT8
    let key_scale$j = key_scale(scale_at(capacity, read$j, group.y));
    let value_scale$j = value_scale(scale_at(capacity, read$j, group.y));
#end
#end
#repeat j SLOTS
    let position$j = i32(slot$j) + turn - select(0, i32(capacity), slot$j > newest_slot);
#if WINDOWED
    let seen$j = slot$j < share.to_slot && position$j >= 0 && i32(last) - position$j < $WINDOW;
#else
    let seen$j = slot$j < share.to_slot && position$j >= 0;
#end
#repeat m ROWS
    var s$j_$m = 0.0;
#end
#repeat e UNITS
#repeat p PARTS
    {
#if KV_INT8
      var k = quad(k$j_$e, $pu) * key_scale$j;
#else
      var k = quad(k$j_$e, $pu);
#end
#if KEY_BIAS
      for (var i = 0u; i < 4u; i++) {
        k[i] += key_bias(kv_head, element$e * $LOADu + 4u * $pu + i, f32(position$j));
      }
#end
#repeat m ROWS
      s$j_$m += dot(k, q$m_$e_$p);
#end
    }
#end
#end
#end
    // The lanes' products to scores, which all lanes of a slot then know.
#if SUBGROUPS
#repeat i LANE_STEPS
#repeat j SLOTS
#repeat m ROWS
    s$j_$m += subgroupShuffleXor(s$j_$m, 1u << $iu);
#end
#end
#end
#else
#repeat j SLOTS
#repeat m ROWS
    pool[($ju * $ROWSu + $mu) * $THREADSu + thread] = s$j_$m;
#end
#end
    workgroupBarrier();
    for (var i = thread; i < $SCORESu; i += $THREADSu) {
      var total = 0.0;
      for (var l = 0u; l < $LANESu; l++) {
        // each thread begins elsewhere, so that they do not all ask one bank
        total += pool[i * $LANESu + (i + l) % $LANESu];
      }
      scores[i] = total;
    }
    workgroupBarrier();
#repeat j SLOTS
#repeat m ROWS
    s$j_$m = scores[($ju * $ROWSu + $mu) * $GROUPSu + member];
#end
#end
#end
#repeat m ROWS
    {
      var best = peak$m;
#repeat j SLOTS
#if SOFTCAP
      s$j_$m = $CAP * tanh(s$j_$m / $CAP);
#end
      s$j_$m = select(NEVER, s$j_$m, seen$j);
      best = max(best, s$j_$m);
#end
      let shrink = exp(peak$m - best);
      peak$m = best;
      weight$m *= shrink;
#repeat e UNITS
#repeat p PARTS
      sum$m_$e_$p *= shrink;
#end
#end
#repeat j SLOTS
      s$j_$m = select(0.0, exp(s$j_$m - best), seen$j);
      weight$m += s$j_$m;
#if KV_INT8
      s$j_$m *= value_scale$j;
#end
#end
    }
#end
#repeat j SLOTS
#repeat e UNITS
#repeat p PARTS
    {
      let v = quad(v$j_$e, $pu);
#repeat m ROWS
      sum$m_$e_$p += s$j_$m * v;
#end
    }
#end
#end
#end
  }

  // The groups' maxima and weights to those of the rows.
  if (lane == 0u) {
#repeat m ROWS
    peaks[$mu * $GROUPSu + member] = peak$m;
    weights[$mu * $GROUPSu + member] = weight$m;
#end
  }
  workgroupBarrier();
  let alone = share.parts == 1u;
  for (var row = index; row < $GROUPu; row += $THREADSu) {
    let from_member = row % $ROWSu * $GROUPSu + row / $ROWSu;
    var best = NEVER;
    for (var i = 0u; i < $STREAMSu; i++) {
      best = max(best, peaks[from_member + i * $SETSu]);
    }
    var total = 0.0;
    for (var i = 0u; i < $STREAMSu; i++) {
      total += weights[from_member + i * $SETSu] * exp(peaks[from_member + i * $SETSu] - best);
    }
    row_peak[row] = best;
    row_weight[row] = select(1.0, total, alone);
    leave_stats(group.z, kv_head * $GROUPu + row, best, select(total, 1.0, alone));
  }
  if (index == 0u && kv_head == 0u && group.z == 0u) {
    out[$COUNT_AT] = bitcast<f32>(share.parts);
  }
  workgroupBarrier();

  // The groups' sums, a row and a unit of the lanes at a time, through the two halves of the pool in turn.
#repeat m ROWS
  let shrink$m = exp(peak$m - row_peak[row$m]) / row_weight[row$m];
#repeat e UNITS
  {
    let half = ($mu * $UNITSu + $eu) % 2u * $HALFu;
#repeat p PARTS
    sum$m_$e_$p *= shrink$m;
#repeat i 4
    pool[half + ((4u * $pu + $iu) * $GROUPSu + member) * $LANESu + lane] = sum$m_$e_$p[$i];
#end
#end
    workgroupBarrier();
    for (var o = index; o < $SETSu * $LOADu * $LANESu; o += $THREADSu) {
      let value = o / $LANESu % $LOADu;
      let its_set = o / ($LANESu * $LOADu);
      let element = o % $LANESu + $eu * $LANESu;
      var total = 0.0;
      for (var i = 0u; i < $STREAMSu; i++) {
        total += pool[half + (value * $GROUPSu + i * $SETSu + its_set) * $LANESu + o % $LANESu];
      }
      let row = its_set * $ROWSu + $mu;
      if (element < $ELEMENTSu && row < $GROUPu) {
        out[sum_at(group.z, kv_head * $GROUPu + row) + element * $LOADu + value] = total;
      }
    }
  }
#end
#end
}
