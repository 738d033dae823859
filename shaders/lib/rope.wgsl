// Rotary embedding. The angle is the f32 product position * frequency, as transformers computes it; sin and cos are
// ours because WGSL promises only 2^-11 of absolute error, and nothing outside [-pi, pi].
fn sin_cos(angle: f32) -> vec2f {
  // Cody-Waite reduction by pi/2 in four parts of 5, 7, 7 and 24 bits: up to 2^17 the first three products have at
  // most 24 bits, so they are exact where fma is not fused, too.
  let quarter = round(angle * 0.6366197723675814);
  var r = fma(-quarter, 1.5625, angle);
  r = fma(-quarter, 0.0081787109375, r);
  r = fma(-quarter, 1.1730194091796875e-4, r);
  r = fma(-quarter, 3.1391647326017846e-7, r);
  let r2 = r * r;
  let s = r + r * r2 * (-0.16666654611 + r2 * (0.0083321608736 - r2 * 0.00019515295891));
  let c = 1.0 - 0.5 * r2 + r2 * r2 * (0.04166664568298827 + r2 * (-0.001388731625493765 + r2 * 2.443315711809948e-5));
  switch (i32(quarter) & 3) {
    case 0: { return vec2f(s, c); }
    case 1: { return vec2f(c, -s); }
    case 2: { return vec2f(-s, -c); }
    default: { return vec2f(-c, s); }
  }
}
