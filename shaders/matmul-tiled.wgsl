// Many tokens' linear layer for real GPUs: a workgroup of 16 x 16 threads takes 64 rows x 16 * TOKENS tokens, 32
// columns at a time. Every weight is decoded once a workgroup into workgroup memory, where rows are 9 words apart so
// that neighbouring rows fall into different banks. A thread keeps 4 rows x TOKENS tokens, 16 apart, in registers.
// GATED: rows 0..31 of the tile are gate and 32..63 up. Flags as in matvec.wgsl.
// Defaults: TOKENS = 2; TILE_ROWS = 64; INPUT_WORDS = 288; MATRIX = matrix-q4
// Defaults: CHUNKS = 4; X_STRIDE = 32; RAGGED = false
// Defaults: SCALED = true; ROW_SCALED = false; GATED = false; BIAS = false; OUT_ROWS = 64
#include $MATRIX
@group(0) @binding(3) var<storage, read> x: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
#if BIAS
@group(0) @binding(6) var<storage, read> bias: array<f32>;
#end
@group(0) @binding(7) var<storage, read> state: array<u32>;
#if GATED
#include activation
#end
#include finish

var<workgroup> weights: array<vec4f, 576>;
var<workgroup> inputs: array<vec4f, $INPUT_WORDS>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  prepare_table(thread);
  let tokens = state[1];
  let first_row = group.x * $TILE_ROWSu;
  let first_token = group.y * 16u * $TOKENSu;
  let column = thread % 16u;
  let line = thread / 16u;
  // This thread decodes an octet of a row of the tile.
  let tile_row = thread % 64u;
  let part = thread / 64u;
#if GATED
  let row = min(first_row + tile_row % 32u, $OUT_ROWSu - 1u) + select(0u, $OUT_ROWSu, tile_row >= 32u);
#else
  let row = min(first_row + tile_row, $OUT_ROWSu - 1u);
#end
#if ROW_SCALED
  let row_scale = load_scale(0u, row);
#end
#repeat r 4
#repeat t TOKENS
  var sum$r_$t = 0.0;
#end
#end
  for (var chunk = 0u; chunk < $CHUNKSu; chunk++) {
    let values = octet(load_chunk(chunk, row), part);
#if SCALED
    let scale = load_scale(chunk, row);
#if OFFSET
    let offset = load_offset(chunk, row);
    weights[tile_row * 9u + part * 2u] = values.a * scale + offset;
    weights[tile_row * 9u + part * 2u + 1u] = values.b * scale + offset;
#else
    weights[tile_row * 9u + part * 2u] = values.a * scale;
    weights[tile_row * 9u + part * 2u + 1u] = values.b * scale;
#end
#else
#if ROW_SCALED
    weights[tile_row * 9u + part * 2u] = values.a * row_scale;
    weights[tile_row * 9u + part * 2u + 1u] = values.b * row_scale;
#else
    weights[tile_row * 9u + part * 2u] = values.a;
    weights[tile_row * 9u + part * 2u + 1u] = values.b;
#end
#end
    for (var i = thread; i < 128u * $TOKENSu; i += 256u) {
      let token = min(first_token + i / 8u, tokens - 1u);
      let word = chunk * 8u + i % 8u;
#if RAGGED
      inputs[(i / 8u) * 9u + i % 8u] = select(vec4f(0.0), x[token * $X_STRIDEu + word], word < $X_STRIDEu);
#else
      inputs[(i / 8u) * 9u + i % 8u] = x[token * $X_STRIDEu + word];
#end
    }
    workgroupBarrier();
    for (var k = 0u; k < 8u; k++) {
#repeat r 4
      let w$r = weights[(line + 16u * $ru) * 9u + k];
#end
#repeat t TOKENS
      {
        let v = inputs[(column + 16u * $tu) * 9u + k];
#repeat r 4
        sum$r_$t += dot(w$r, v);
#end
      }
#end
    }
    workgroupBarrier();
  }
#repeat t TOKENS
  {
    let token = first_token + column + 16u * $tu;
    if (token < tokens) {
#if GATED
      finish(token * $OUT_STRIDEu, first_row + line, sum0_$t, sum2_$t);
      finish(token * $OUT_STRIDEu, first_row + line + 16u, sum1_$t, sum3_$t);
#else
#repeat r 4
      finish(token * $OUT_STRIDEu, first_row + line + 16u * $ru, sum$r_$t, 0.0);
#end
#end
    }
  }
#end
}
