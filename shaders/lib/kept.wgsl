// What of the vocabulary a draw is made from (src/execute/sampler/keeps.ts), found by passes over it
// (sample-scan.wgsl). A pass sums what is kept so far, or makes a histogram of one digit of a measure of it; what that
// says is worked out at the beginning of the next pass, by every workgroup, since WGSL orders nothing between
// workgroups of one dispatch; those of the next have it in any case.
//
// A rule of integer weights finds its threshold digit by digit: digits of 11, 11 and 10 bits, each a pass. Weights are
// 1, or parts of 2^-30 of the whole: sums of integers are the same in any order.
//
// kept: [3] of what a pass found (pass p in p mod 3; the pass before the next clears it): [BINS] a histogram, or
// [GROUPS] of 4 sums, then [3] of what was kept before a pass. Passes stand in `state` from 24 on, a byte each, four
// times the rule's number and the stage; behind them their number (src/execute/sampler/links.ts).
// Defaults: BINS = 2048; OWN_BINS = 8; SPAN = 16; SLOTS = 6144; SLOT_WORDS = 12
@group(0) @binding(3) var<storage, read_write> kept: array<atomic<u32>>;
#include keys
#include noise

const DYNATEMP = 1u;
const TOP_N_SIGMA = 2u;
const MOST_OF_TOP_H = 3u;
const TOP_H = 4u;
const TOP_K = 5u;
const TOP_P = 6u;
const TYPICAL = 7u;
const XTC = 8u;
const EPSILON = 9u;
const ETA = 10u;

const WHOLE = 1073741824.0;
const ANY = 3e38;

struct Kept {
  // keys of the least and the most logit that are kept
  low: u32,
  high: u32,
  // and how far z may be from what
  center: f32,
  radius: f32,
  temperature: f32,
  // of the rule that is at it: parts of the whole, the logarithm of the mass, digits found, what of the goal is left
  unit: f32,
  log_mass: f32,
  found: u32,
  goal: u32,
}

// threads have OWN_BINS neighbouring bins each, SPAN neighbouring threads a section
var<workgroup> own_share: array<u32, $THREADS>;
var<workgroup> section_share: array<u32, 16>;
var<workgroup> next: vec2u;
var<workgroup> partial: array<vec4f, $THREADS>;

fn number(word: u32) -> f32 {
  return bitcast<f32>(state[word]);
}

// The rule and the stage of a pass.
fn code_of(index: u32) -> vec2u {
  let code = (state[24u + index / 4u] >> (8u * (index % 4u))) & 255u;
  return vec2u(code / 4u, code % 4u);
}

// Banned or masked, and no part of any sum.
fn is_gone(logit: f32, top: f32) -> bool {
  return logit < top - 5e36;
}

// logit / temperature, less the largest; finite, so that products with exp(z) are.
fn z_of(logit: f32, top: f32, temperature: f32) -> f32 {
  return max(select((logit - top) / temperature, 0.0, logit == top), -1e4);
}

// Whether it is kept; the same distance may differ by a rounding from one kernel to another.
fn is_kept(now: Kept, logit: f32, top: f32) -> bool {
  let key = key_of(logit);
  let far = abs(z_of(logit, top, now.temperature) - now.center);
  return key >= now.low && key <= now.high && far <= now.radius * 1.000001 + 1e-6;
}

// Keeps from this z on, and the largest of what there is in any case.
fn cut(now: Kept, z: f32, top: f32, largest: f32) -> u32 {
  return max(now.low, min(key_of(top + z * now.temperature), key_of(largest)));
}

// The place of the lowest bit of a stage's digit.
fn place_of(stage: u32) -> u32 {
  return select(select(0u, 10u, stage == 2u), 21u, stage == 1u);
}

// The sums of three values and the largest of the fourth, over a workgroup.
fn sums_of_all(thread: u32, value: vec4f) -> vec4f {
  partial[thread] = value;
  for (var half = $THREADSu / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      let other = partial[thread + half];
      partial[thread] = vec4f(partial[thread].xyz + other.xyz, max(partial[thread].w, other.w));
    }
  }
  return workgroupUniformLoad(&partial[0]);
}

// What the workgroups of a pass have summed, in their order, so that it is always the same number.
fn sums_at(thread: u32, region: u32) -> vec4f {
  var sums = vec4f(0.0, 0.0, 0.0, -3.4e38);
  for (var i = thread; i < $GROUPSu; i += $THREADSu) {
    var own: vec4f;
    for (var n = 0u; n < 4u; n++) {
      own[n] = bitcast<f32>(atomicLoad(&kept[region + 4u * i + n]));
    }
    sums = vec4f(sums.xyz + own.xyz, max(sums.w, own.w));
  }
  return sums_of_all(thread, sums);
}

// The digits up to a stage's, and what of the goal is left below them: the largest bin such that it and those above it
// have at least what was left before; the lowest where all have less.
fn next_digit(thread: u32, region: u32, stage: u32, known: u32, goal: u32) -> vec2u {
  let first = region + thread * $OWN_BINSu;
  var own = 0u;
  for (var b = 0u; b < $OWN_BINSu; b++) {
    own += atomicLoad(&kept[first + b]);
  }
  own_share[thread] = own;
  workgroupBarrier();
  if (thread < 16u) {
    var share = 0u;
    for (var t = thread * $SPANu; t < (thread + 1u) * $SPANu; t++) {
      share += own_share[t];
    }
    section_share[thread] = share;
  }
  workgroupBarrier();
  let section = thread / $SPANu;
  var above = 0u;
  for (var s = section + 1u; s < 16u; s++) {
    above += section_share[s];
  }
  for (var t = thread + 1u; t < (section + 1u) * $SPANu; t++) {
    above += own_share[t];
  }
  // one thread has the bin: what is above it and its own part the goal
  if (above < goal && (above + own >= goal || thread == 0u)) {
    var left = goal - above;
    var bin = $OWN_BINSu - 1u;
    while (bin > 0u) {
      let share = atomicLoad(&kept[first + bin]);
      if (share >= left) {
        break;
      }
      left -= share;
      bin -= 1u;
    }
    next = vec2u(known | ((thread * $OWN_BINSu + bin) << place_of(stage)), left);
  }
  return workgroupUniformLoad(&next);
}

fn first_kept() -> Kept {
  return Kept(0u, 0xffffffffu, 0.0, ANY, number(4u), 0.0, 0.0, 0u, 0u);
}

fn stored_kept(index: u32) -> Kept {
  let at = $SLOTSu + $SLOT_WORDSu * (index % 3u);
  return Kept(
    atomicLoad(&kept[at]),
    atomicLoad(&kept[at + 1u]),
    bitcast<f32>(atomicLoad(&kept[at + 2u])),
    bitcast<f32>(atomicLoad(&kept[at + 3u])),
    bitcast<f32>(atomicLoad(&kept[at + 4u])),
    bitcast<f32>(atomicLoad(&kept[at + 5u])),
    bitcast<f32>(atomicLoad(&kept[at + 6u])),
    atomicLoad(&kept[at + 7u]),
    atomicLoad(&kept[at + 8u]),
  );
}

fn store_kept(index: u32, now: Kept) {
  let at = $SLOTSu + $SLOT_WORDSu * (index % 3u);
  atomicStore(&kept[at], now.low);
  atomicStore(&kept[at + 1u], now.high);
  atomicStore(&kept[at + 2u], bitcast<u32>(now.center));
  atomicStore(&kept[at + 3u], bitcast<u32>(now.radius));
  atomicStore(&kept[at + 4u], bitcast<u32>(now.temperature));
  atomicStore(&kept[at + 5u], bitcast<u32>(now.unit));
  atomicStore(&kept[at + 6u], bitcast<u32>(now.log_mass));
  atomicStore(&kept[at + 7u], now.found);
  atomicStore(&kept[at + 8u], now.goal);
}

// What sums say of what is kept: a threshold, or what the digits after them need.
fn by_sums(before: Kept, rule: u32, sums: vec4f, top: f32) -> Kept {
  var now = before;
  let log_mass = log(sums.x);
  let entropy = log_mass - sums.y / sums.x;
  now.log_mass = log_mass;
  switch (rule) {
    case DYNATEMP: {
      if (sums.z > 1.0) {
        let share = clamp(entropy / log(sums.z), 0.0, 1.0);
        let lowest = max(0.0, number(4u) - number(8u));
        let highest = number(4u) + number(8u);
        now.temperature = max(1e-20, lowest + (highest - lowest) * pow(share, number(9u)));
      }
    }
    case TOP_N_SIGMA: {
      let mean = sums.x / sums.z;
      let sigma = sqrt(max(0.0, sums.y / sums.z - mean * mean));
      now.low = max(now.low, key_of(top - number(10u) * sigma));
    }
    case TOP_H: {
      now.unit = select(WHOLE / (sums.x * entropy), 0.0, entropy < 1e-30);
    }
    case TOP_P: {
      now.unit = WHOLE / sums.x;
    }
    case TYPICAL: {
      now.unit = WHOLE / sums.x;
      now.center = sums.y / sums.x;
    }
    case EPSILON: {
      now.low = cut(now, log(number(16u)) + log_mass, top, sums.w);
    }
    case ETA: {
      let least = min(log(number(17u)), 0.5 * log(number(17u)) - entropy);
      now.low = cut(now, least + log_mass, top, sums.w);
    }
    default: {}
  }
  return now;
}

// What is kept at a pass, by what the one before it found.
fn kept_at(thread: u32, index: u32, top: f32) -> Kept {
  var now = first_kept();
  if (index > 0u) {
    now = stored_kept(index - 1u);
    let code = code_of(index - 1u);
    let region = ((index - 1u) % 3u) * $BINSu;
    if (code.y == 0u) {
      now = by_sums(now, code.x, sums_at(thread, region), top);
    } else if (code.x == XTC) {
      let most = ~atomicLoad(&kept[region]);
      let chance = f32(mix(0xffffffffu ^ mix(state[2] ^ mix(state[7] ^ 0x9e3779b9u))) >> 8u) * 5.9604644775390625e-8;
      if (most != 0xffffffffu && chance < number(14u)) {
        now.high = min(now.high, most);
      }
    } else {
      let digit = next_digit(thread, region, code.y, now.found, now.goal);
      now.found = digit.x;
      now.goal = digit.y;
      if (code.y == 3u && code.x == TYPICAL) {
        now.radius = bitcast<f32>(~now.found);
      } else if (code.y == 3u && code.x == TOP_H) {
        // what was found is too much
        now.low = max(now.low, min(now.found + 1u, key_of(top)));
      } else if (code.y == 3u) {
        now.low = max(now.low, now.found);
      }
    }
  }
  let code = code_of(index);
  if (code.y == 1u) {
    now.found = 0u;
    switch (code.x) {
      case MOST_OF_TOP_H: {
        now.goal = 100u;
      }
      case TOP_H: {
        now.goal = u32(number(11u) * WHOLE) + 1u;
      }
      case TOP_K: {
        now.goal = state[5];
      }
      default: {
        now.goal = max(u32(number(select(13u, 6u, code.x == TOP_P)) * WHOLE), 1u);
      }
    }
  }
  // min-p, which needs no pass, behind top-p
  if (number(12u) > 0.0 && (code.x == 0u || code.x > TOP_P)) {
    now.low = max(now.low, key_of(top + now.temperature * log(number(12u))));
  }
  return now;
}
