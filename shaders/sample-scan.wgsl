// One pass over the vocabulary to find what a draw is made from (lib/kept.wgsl): sums over what is kept so far, or a
// histogram of one digit of a measure of it.
//
// Which pass it is says the number of workgroups, GROUPS and one more for each pass before it; those do nothing. So
// there is one thing to compile, whatever the rules.
// Defaults: THREADS = 256; VOCAB = 1024; GROUPS = 64
@group(0) @binding(0) var<storage, read> logits: array<f32, $VOCAB>;
#include winner
// as in sample-pick.wgsl
@group(0) @binding(2) var<storage, read> state: array<u32, 44>;
#include kept

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
  let index = groups.x - $GROUPSu;
  let top = winner_of(thread).value;
  let now = kept_at(thread, index, top);
  let code = code_of(index);
  let region = (index % 3u) * $BINSu;
  let first = group.x * $THREADSu + thread;
  let step = $GROUPSu * $THREADSu;
  if (group.x == 0u && thread == 0u) {
    store_kept(index, now);
  }
  for (var b = first; b < $BINSu; b += step) {
    atomicStore(&kept[((index + 1u) % 3u) * $BINSu + b], 0u);
  }
  if (code.y == 0u) {
    var sums = vec4f(0.0, 0.0, 0.0, -3.4e38);
    for (var i = first; i < $VOCABu; i += step) {
      let logit = logits[i];
      if (is_gone(logit, top) || !is_kept(now, logit, top)) {
        continue;
      }
      if (code.x == TOP_N_SIGMA) {
        sums += vec4f(logit - top, (logit - top) * (logit - top), 1.0, 0.0);
      } else {
        let z = z_of(logit, top, select(now.temperature, 1.0, code.x == DYNATEMP));
        let e = exp(z);
        sums += vec4f(e, e * z, 1.0, 0.0);
      }
      sums.w = max(sums.w, logit);
    }
    let all = sums_of_all(thread, sums);
    if (thread < 4u) {
      atomicStore(&kept[region + 4u * group.x + thread], bitcast<u32>(all[thread]));
    }
    return;
  }
  for (var b = thread; b < $BINSu; b += $THREADSu) {
    atomicStore(&histogram[b], 0u);
  }
  workgroupBarrier();
  let place = place_of(code.y);
  let place_before = place_of(code.y - 1u);
  let likely = log(number(15u)) + now.log_mass;
  for (var i = first; i < $VOCABu; i += step) {
    let logit = logits[i];
    if (is_gone(logit, top) || !is_kept(now, logit, top)) {
      continue;
    }
    var key = key_of(logit);
    let z = z_of(logit, top, now.temperature);
    if (code.x == XTC) {
      // the least of the likely has the largest of these
      if (z >= likely) {
        atomicMax(&histogram[0], ~key);
      }
      continue;
    }
    if (code.x == TYPICAL) {
      key = ~bitcast<u32>(abs(z - now.center));
    }
    if (code.y > 1u && ((key ^ now.found) >> place_before) != 0u) {
      continue;
    }
    var share = 1u;
    if (code.x == TOP_H) {
      share = u32(exp(z) * (now.log_mass - z) * now.unit);
    } else if (code.x >= TOP_P) {
      share = u32(exp(z) * now.unit);
    }
    if (share > 0u) {
      atomicAdd(&histogram[(key >> place) % $BINSu], share);
    }
  }
  workgroupBarrier();
  if (code.x == XTC) {
    if (thread == 0u) {
      atomicMax(&kept[region], atomicLoad(&histogram[0]));
    }
    return;
  }
  for (var b = thread; b < $BINSu; b += $THREADSu) {
    let share = atomicLoad(&histogram[b]);
    if (share > 0u) {
      atomicAdd(&kept[region + b], share);
    }
  }
}
