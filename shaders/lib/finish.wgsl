// Everything after the sum: at = where the token's outputs begin, row = which of them.
fn finish(at: u32, row: u32, value: f32, up: f32) {
  if (row >= $OUT_ROWSu) {
    return;
  }
#if GATED
  out[at + $OUT_ATu + row] = activate(value) * up;
#else
  var y = value;
#if BIAS
  y += bias[row];
#end
#if SOFTCAP
  y = $CAP * tanh(y / $CAP);
#end
#if ACCUMULATE
  out[at + $OUT_ATu + row] += $SCALE * y;
#else
  out[at + $OUT_ATu + row] = $SCALE * y;
#end
#end
}
