// The largest (value, id) of a workgroup, the lowest id on ties.
struct Best { value: f32, id: u32 }

var<workgroup> best_value: array<f32, $THREADS>;
var<workgroup> best_id: array<u32, $THREADS>;

fn best_of_all(thread: u32, value: f32, id: u32) -> Best {
  best_value[thread] = value;
  best_id[thread] = id;
  for (var half = $THREADSu / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      let other = thread + half;
      if (best_value[other] > best_value[thread] || (best_value[other] == best_value[thread] && best_id[other] < best_id[thread])) {
        best_value[thread] = best_value[other];
        best_id[thread] = best_id[other];
      }
    }
  }
  workgroupBarrier();
  return Best(best_value[0], best_id[0]);
}
