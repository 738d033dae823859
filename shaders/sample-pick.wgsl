// Chooses the next token as src/execute/sampler/chain.ts defines it, hands it to the next step (ids[0], state) and
// keeps it for the host (sampled). One workgroup.
//
// state: 0 position of the first token of this pass, 1 tokens, 2 samples drawn, 3 ids written, then the request:
// 4 temperature bits, 5 top-k, 6 top-p bits, 7 seed; from 16 on ids that end the answer. When one of them was drawn
// there are 0 tokens in the next pass, which therefore does nothing, and neither does this.
//
// The threshold of top-k and of top-p is found digit by digit over the logits' order-preserving integer keys: a
// histogram of one byte's 256 values, of counts for top-k and of probability in units of 2^-30 for top-p, four times.
// Defaults: THREADS = 256; VOCAB = 1024; GROUPS = 64; RING = 64; COUNTS = false; STOPS_AT = 16; STOPS = 8
@group(0) @binding(0) var<storage, read> logits: array<f32, $VOCAB>;
@group(0) @binding(1) var<storage, read> maxima: array<vec2u, $GROUPS>;
@group(0) @binding(2) var<storage, read_write> state: array<u32, 24>;
@group(0) @binding(3) var<storage, read_write> ids: array<u32>;
@group(0) @binding(4) var<storage, read_write> sampled: array<u32, $RING>;
#if COUNTS
// as in sample-adjust.wgsl
@group(0) @binding(5) var<storage, read_write> tokens: array<u32>;
#end
#include best

var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> sums: array<f32, $THREADS>;
var<workgroup> prefix: u32;
var<workgroup> rest: u32;
var<workgroup> request: array<u32, 4>;

fn mix(x: u32) -> u32 {
  var h = (x ^ (x >> 16u)) * 0x7feb352du;
  h = (h ^ (h >> 15u)) * 0x846ca68bu;
  return h ^ (h >> 16u);
}

fn gumbel(key: u32, id: u32) -> f32 {
  let w = (f32(mix(id ^ key) >> 9u) + 0.5) * 1.1920928955078125e-7;
  let e = select(-log(1.0 - w), w * (1.0 + w * (0.5 + w * (0.33333334 + w * 0.25))), w < 0.01);
  return -log(e);
}

// Larger logits have larger keys, equal ones (both zeros) the same.
fn key_of(logit: f32) -> u32 {
  let bits = select(bitcast<u32>(logit), 0u, logit == 0.0);
  return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

@compute @workgroup_size($THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
  if (thread < 4u) {
    request[thread] = state[4u + thread];
  }
  var value = -3.4e38;
  var id = 0xffffffffu;
  for (var i = thread; i < $GROUPSu; i += $THREADSu) {
    let candidate = bitcast<f32>(maxima[i].x);
    if (candidate > value || (candidate == value && maxima[i].y < id)) {
      value = candidate;
      id = maxima[i].y;
    }
  }
  let top = best_of_all(thread, value, id);
  let temperature = bitcast<f32>(workgroupUniformLoad(&request[0]));
  let top_k = workgroupUniformLoad(&request[1]);
  let top_p = bitcast<f32>(workgroupUniformLoad(&request[2]));
  let seed = workgroupUniformLoad(&request[3]);
  var chosen = top.id;
  if (temperature > 0.0 && top_p > 0.0) {
    var least = 0u;
    if (top_k > 0u && top_k < $VOCABu) {
      least = threshold(thread, 0u, top_k, 0.0, top.value, temperature);
    }
    if (top_p < 1.0) {
      var mass = 0.0;
      for (var i = thread; i < $VOCABu; i += $THREADSu) {
        if (key_of(logits[i]) >= least) {
          mass += exp((logits[i] - top.value) / temperature);
        }
      }
      sums[thread] = mass;
      for (var half = $THREADSu / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (thread < half) {
          sums[thread] += sums[thread + half];
        }
      }
      workgroupBarrier();
      let unit = 1073741824.0 / sums[0];
      least = max(least, threshold(thread, least, u32(top_p * 1073741824.0), unit, top.value, temperature));
    }
    let key = mix((state[2]) ^ mix(seed ^ 0x9e3779b9u));
    value = -3.4e38;
    id = 0xffffffffu;
    for (var i = thread; i < $VOCABu; i += $THREADSu) {
      if (key_of(logits[i]) >= least) {
        // Less the largest, so that a low temperature costs no digits and overflows downwards.
        let score = (logits[i] - top.value) / temperature + gumbel(key, i);
        if (score > value) {
          value = score;
          id = i;
        }
      }
    }
    workgroupBarrier();
    chosen = best_of_all(thread, value, id).id;
    if (chosen >= $VOCABu) {
      chosen = top.id;
    }
  }
  workgroupBarrier();
  if (thread == 0u && state[1] > 0u) {
    ids[0] = chosen;
    sampled[state[3] % $RINGu] = chosen;
    var ends = false;
    for (var i = $STOPS_ATu; i < $STOPS_ATu + $STOPSu; i++) {
      ends = ends || state[i] == chosen;
    }
    state[0] += 1u;
    state[1] = select(1u, 0u, ends);
    state[2] += 1u;
    state[3] += 1u;
#if COUNTS
    tokens[chosen] += 1u;
#end
  }
}

// The largest key such that keys of at least it count (unit = 0) or weigh (in units of 1 / unit) `goal`, among keys of
// at least `least`.
fn threshold(thread: u32, least: u32, goal: u32, unit: f32, top: f32, temperature: f32) -> u32 {
  if (thread == 0u) {
    prefix = 0u;
    rest = max(goal, 1u);
  }
  for (var digit = 0u; digit < 4u; digit++) {
    let shift = 24u - 8u * digit;
    for (var b = thread; b < 256u; b += $THREADSu) {
      atomicStore(&histogram[b], 0u);
    }
    workgroupBarrier();
    let known = workgroupUniformLoad(&prefix);
    for (var i = thread; i < $VOCABu; i += $THREADSu) {
      let key = key_of(logits[i]);
      // Digits above this one must match; a shift by 32 is not defined, hence the two steps.
      if (key >= least && ((key >> shift) >> 8u) == ((known >> shift) >> 8u)) {
        var share = 1u;
        if (unit > 0.0) {
          share = u32(exp((logits[i] - top) / temperature) * unit);
        }
        atomicAdd(&histogram[(key >> shift) & 255u], share);
      }
    }
    workgroupBarrier();
    if (thread == 0u) {
      var left = rest;
      var b = 255u;
      while (b > 0u) {
        let share = atomicLoad(&histogram[b]);
        if (share >= left) {
          break;
        }
        left -= share;
        b -= 1u;
      }
      prefix = known | (b << shift);
      rest = left;
    }
    workgroupBarrier();
  }
  return workgroupUniformLoad(&prefix);
}
