// Defaults: GELU = false
#if GELU
// tanh saturates long before its argument overflows exp, which some drivers do not see.
fn activate(v: f32) -> f32 {
  return 0.5 * v * (1.0 + tanh(clamp(0.7978845608028654 * (v + 0.044715 * v * v * v), -20.0, 20.0)));
}
#else
fn activate(v: f32) -> f32 {
  return v / (1.0 + exp(-v));
}
#end
