// A stage of the search for the threshold of top-k or of top-p (lib/digits.wgsl): a histogram of one digit of the
// logits' keys, of those that have the digits found before. Top-k counts them; top-p weighs them, in units of 2^-30 of
// the mass that top-k keeps: sums of integers are the same in any order.
//
// Which stage it is says the number of workgroups, GROUPS and one more for each stage before it; those do nothing. So
// there is one thing to compile and not six.
// Defaults: THREADS = 256; VOCAB = 1024; GROUPS = 64
@group(0) @binding(0) var<storage, read> logits: array<f32, $VOCAB>;
#include winner
// as in sample-pick.wgsl
@group(0) @binding(2) var<storage, read> state: array<u32, 24>;
#include keys
#include digits
#include sum

var<workgroup> histogram: array<atomic<u32>, $BINS>;

@compute @workgroup_size($THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
  @builtin(num_workgroups) groups: vec3u,
) {
  if (state[1] == 0u || group.x >= $GROUPSu) {
    return;
  }
  let stage = groups.x - $GROUPSu;
  let weighs = stage >= 3u;
  for (var b = thread; b < $BINSu; b += $THREADSu) {
    atomicStore(&histogram[b], 0u);
  }
  var top = 0.0;
  var unit = 0.0;
  var least = 0u;
  let temperature = bitcast<f32>(state[4]);
  if (weighs) {
    top = winner_of(thread).value;
    least = atomicLoad(&kept[$LEASTu]);
  }
  // digits found before, and what of the goal is left
  var found = vec2u(0u, state[5]);
  if (stage % 3u > 0u) {
    unit = bitcast<f32>(atomicLoad(&kept[$UNITu]));
    found = next_digit(thread, stage - 1u);
  } else if (weighs) {
    // in the order of the workgroups, so that it is always the same number
    var mass = 0.0;
    for (var i = thread; i < $GROUPSu; i += $THREADSu) {
      mass += bitcast<f32>(atomicLoad(&kept[$MASSESu + i]));
    }
    unit = 1073741824.0 / sum_of_all(thread, mass);
    found.y = max(u32(bitcast<f32>(state[6]) * 1073741824.0), 1u);
  }
  if (group.x == 0u && thread == 0u) {
    atomicStore(&kept[$FOUNDu + 2u * stage], found.x);
    atomicStore(&kept[$FOUNDu + 2u * stage + 1u], found.y);
    if (stage == 3u) {
      atomicStore(&kept[$UNITu], bitcast<u32>(unit));
    }
  }
  workgroupBarrier();
  let place = place_of(stage);
  let place_before = place_of(stage - min(stage, 1u));
  for (var i = group.x * $THREADSu + thread; i < $VOCABu; i += $GROUPSu * $THREADSu) {
    let logit = logits[i];
    let key = key_of(logit);
    // What is masked has no weight, and need not be counted: where too few are left without it, the lowest bin has it.
    if (key < least || logit <= -3.4e38 || (stage % 3u > 0u && ((key ^ found.x) >> place_before) != 0u)) {
      continue;
    }
    var share = 1u;
    if (weighs) {
      share = u32(exp((logit - top) / temperature) * unit);
    }
    if (share > 0u) {
      atomicAdd(&histogram[(key >> place) % $BINSu], share);
    }
  }
  workgroupBarrier();
  for (var b = thread; b < $BINSu; b += $THREADSu) {
    let share = atomicLoad(&histogram[b]);
    if (share > 0u) {
      atomicAdd(&kept[stage * $BINSu + b], share);
    }
  }
}
