// Everything after the sum, and where it goes: at = where the token's outputs begin, row = which of them.
// Defaults: OUT_AT = 0; OUT_STRIDE = 64; SCALE = 1.0; SOFTCAP = false
// Defaults: CAP = 30.0; MULTIPLIER = false; ACCUMULATE = false
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
#if BIAS
@group(0) @binding(6) var<storage, read> bias: array<f32>;
#end
#if GATED
#include activation
#end
fn finish(at: u32, row: u32, value: f32, up: f32) {
  if (row >= $OUT_ROWSu) {
    return;
  }
#if GATED
  out[at + $OUT_ATu + row] = activate(value) * up;
#else
  var y = value;
#if MULTIPLIER
  // DoRA's row factors follow the biases.
  y *= bias[$OUT_STRIDEu + $OUT_ATu + row];
#end
#if BIAS
  // Biases are stacked like the rows of the whole output, of which this matrix may be a block.
  y += bias[$OUT_ATu + row];
#end
  y *= $SCALE;
#if SOFTCAP
  y = $CAP * tanh(y / $CAP);
#end
#if ACCUMULATE
  out[at + $OUT_ATu + row] += y;
#else
  out[at + $OUT_ATu + row] = y;
#end
#end
}
