// The best of what the workgroups of a pass over the vocabulary found, each with its value and id.
// Defaults: GROUPS = 64
@group(0) @binding(1) var<storage, read> maxima: array<vec2u>;
#include best

fn winner_of(thread: u32) -> Best {
  var value = -3.4e38;
  var id = 0xffffffffu;
  for (var i = thread; i < $GROUPSu; i += $THREADSu) {
    let candidate = bitcast<f32>(maxima[i].x);
    if (candidate > value || (candidate == value && maxima[i].y < id)) {
      value = candidate;
      id = maxima[i].y;
    }
  }
  return best_of_all(thread, value, id);
}
