// Rows of activations in int8, for products of many tokens (matmul-tiled.wgsl): of each 32 columns the largest
// magnitude is 127 units. out [token][chunk of 32 columns]: 32 codes, of columns beyond the last 0; then as f32 the
// unit, and the unit times the sum of the codes, for weights with offsets.
// Defaults: CHUNKS = 2; X_STRIDE = 15
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4u>;
@group(0) @binding(2) var<storage, read> state: array<u32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let chunk = id.x;
  let token = id.y;
  if (chunk >= $CHUNKSu || token >= state[1]) {
    return;
  }
  let row = token * $X_STRIDEu;
  var most4 = vec4f(0.0);
#repeat w 8
  let word$w = chunk * 8u + $wu;
  let v$w = select(vec4f(0.0), x[row + word$w], word$w < $X_STRIDEu);
  most4 = max(most4, abs(v$w));
#end
  let most = max(max(most4.x, most4.y), max(most4.z, most4.w));
  // what is so small is 0: its reciprocal may be no number
  let divisor = select(most, 1.0, most < 1e-30);
  let low = vec4u(pack4x8snorm(v0 / divisor), pack4x8snorm(v1 / divisor), pack4x8snorm(v2 / divisor), pack4x8snorm(v3 / divisor));
  let high = vec4u(pack4x8snorm(v4 / divisor), pack4x8snorm(v5 / divisor), pack4x8snorm(v6 / divisor), pack4x8snorm(v7 / divisor));
  let unit = most / 127.0;
  var sum = 0i;
#repeat i 4
  sum += dot4I8Packed(low[$i], 0x01010101u) + dot4I8Packed(high[$i], 0x01010101u);
#end
  let at = 3u * (token * $CHUNKSu + chunk);
  out[at] = low;
  out[at + 1u] = high;
  out[at + 2u] = vec4u(bitcast<vec2u>(vec2f(unit, unit * f32(sum))), 0u, 0u);
}
