// Many tokens' linear layer: out[t] = W x[t], W [ROWS, COLUMNS]. A thread keeps TILE rows x TOKENS tokens in registers:
// every weight is decoded once for all its tokens and every activation is read once for all its rows, which is all
// that counts where a load costs as much as twenty multiply-adds (software adapters). No workgroup memory.
// Flags as in matvec.wgsl.
// Defaults: THREADS = 16; LANES = 16; TILE = 2; LANES_TILE = 32; TOKENS = 3
// Defaults: MATRIX = matrix-q4; CHUNKS = 4; X_STRIDE = 32
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

@compute @workgroup_size($THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  prepare_table(thread);
  let tokens = state[1];
  let first = group.x * $LANES_TILEu + thread;
  let token = group.y * $TOKENSu;
#repeat r TILE
  let row$r = min(first + $ru * $LANESu, $OUT_ROWSu - 1u);
#if GATED
  let up_row$r = row$r + $OUT_ROWSu;
#end
#end
#repeat t TOKENS
  let x_at$t = min(token + $tu, tokens - 1u) * $X_STRIDEu;
#repeat r TILE
  var sum$r_$t = 0.0;
#if GATED
  var up_sum$r_$t = 0.0;
#end
#end
#end
  for (var chunk = 0u; chunk < $CHUNKSu; chunk++) {
#repeat r TILE
    let codes$r = load_chunk(chunk, row$r);
#if SCALED
    let scale$r = load_scale(chunk, row$r);
#end
#if OFFSET
    let offset$r = load_offset(chunk, row$r);
#end
#if GATED
    let up_codes$r = load_chunk(chunk, up_row$r);
#if SCALED
    let up_scale$r = load_scale(chunk, up_row$r);
#end
#if OFFSET
    let up_offset$r = load_offset(chunk, up_row$r);
#end
#end
#end
    // The loop stays one: written out four times it took SwiftShader four times as long to compile.
    for (var o = 0u; o < 4u; o++) {
#repeat r TILE
      let raw$r = octet(codes$r, o);
#if SCALED
#if OFFSET
      let a$r = raw$r.a * scale$r + vec4f(offset$r);
      let b$r = raw$r.b * scale$r + vec4f(offset$r);
#else
      let a$r = raw$r.a * scale$r;
      let b$r = raw$r.b * scale$r;
#end
#else
      let a$r = raw$r.a;
      let b$r = raw$r.b;
#end
#if GATED
      let up_raw$r = octet(up_codes$r, o);
#if SCALED
#if OFFSET
      let up_a$r = up_raw$r.a * up_scale$r + vec4f(up_offset$r);
      let up_b$r = up_raw$r.b * up_scale$r + vec4f(up_offset$r);
#else
      let up_a$r = up_raw$r.a * up_scale$r;
      let up_b$r = up_raw$r.b * up_scale$r;
#end
#else
      let up_a$r = up_raw$r.a;
      let up_b$r = up_raw$r.b;
#end
#end
#end
#repeat t TOKENS
      {
        let xa = x[x_at$t + chunk * 8u + 2u * o];
        let xb = x[x_at$t + chunk * 8u + 2u * o + 1u];
#repeat r TILE
        sum$r_$t += dot(a$r, xa) + dot(b$r, xb);
#if GATED
        up_sum$r_$t += dot(up_a$r, xa) + dot(up_b$r, xb);
#end
#end
      }
#end
    }
  }
#if ROW_SCALED
#repeat r TILE
  let row_scale$r = load_scale(0u, row$r);
#if GATED
  let up_row_scale$r = load_scale(0u, up_row$r);
#end
#end
#end
#repeat t TOKENS
  if (token + $tu < tokens) {
#repeat r TILE
#if ROW_SCALED
    let value$r = sum$r_$t * row_scale$r;
#else
    let value$r = sum$r_$t;
#end
#if GATED
#if ROW_SCALED
    finish((token + $tu) * $OUT_STRIDEu, first + $ru * $LANESu, value$r, up_sum$r_$t * up_row_scale$r);
#else
    finish((token + $tu) * $OUT_STRIDEu, first + $ru * $LANESu, value$r, up_sum$r_$t);
#end
#else
    finish((token + $tu) * $OUT_STRIDEu, first + $ru * $LANESu, value$r, 0.0);
#end
#end
  }
#end
}
