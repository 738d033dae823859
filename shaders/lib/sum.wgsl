// The sum of a value over a workgroup.
var<workgroup> partial: array<f32, $THREADS>;

fn sum_of_all(thread: u32, value: f32) -> f32 {
  partial[thread] = value;
  for (var half = $THREADSu / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      partial[thread] += partial[thread + half];
    }
  }
  workgroupBarrier();
  return partial[0];
}
