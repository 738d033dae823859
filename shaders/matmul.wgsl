// Many tokens' linear layer: out[t] = W x[t], W [ROWS, COLUMNS]. A thread keeps TILE rows x TOKENS tokens in registers:
// every weight is decoded once for all its tokens and every activation is read once for all its rows, which is all
// that counts where a load costs as much as twenty multiply-adds (software adapters). No workgroup memory.
// SIDES: 2 where it is GATED, gate and up. Other flags as in matvec.wgsl.
// Defaults: SIDES = 1; THREADS = 16; LANES = 16; TILE = 2; LANES_TILE = 32; TOKENS = 3
// Defaults: MATRIX = matrix-q4; CHUNKS = 4; X_STRIDE = 32
// Defaults: SCALED = true; ROW_SCALED = false; GATED = false; BIAS = false; OUT_ROWS = 64
#include $MATRIX
@group(0) @binding(3) var<storage, read> x: array<vec4f>;
@group(0) @binding(7) var<storage, read> state: array<u32>;
#include finish

@compute @workgroup_size($THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  prepare_table(thread);
  let tokens = state[1];
  let first = group.x * $LANES_TILEu + thread;
  let token = group.y * $TOKENSu;
#repeat h SIDES
#repeat r TILE
  let row$h_$r = min(first + $ru * $LANESu, $OUT_ROWSu - 1u) + $hu * $OUT_ROWSu;
#repeat t TOKENS
  var sum$h_$r_$t = 0.0;
#end
#end
#end
#repeat t TOKENS
  let x_at$t = min(token + $tu, tokens - 1u) * $X_STRIDEu;
#end
  for (var chunk = 0u; chunk < $CHUNKSu; chunk++) {
#repeat h SIDES
#repeat r TILE
    let codes$h_$r = load_chunk(chunk, row$h_$r);
#if SCALED
    let scale$h_$r = load_scale(chunk, row$h_$r);
#end
#if OFFSET
    let offset$h_$r = vec4f(load_offset(chunk, row$h_$r));
#end
#end
#end
    // The loop stays one: written out four times it took SwiftShader four times as long to compile.
    for (var o = 0u; o < 4u; o++) {
#repeat h SIDES
#repeat r TILE
      let raw$h_$r = octet(codes$h_$r, o);
#if SCALED
#if OFFSET
      let a$h_$r = raw$h_$r.a * scale$h_$r + offset$h_$r;
      let b$h_$r = raw$h_$r.b * scale$h_$r + offset$h_$r;
#else
      let a$h_$r = raw$h_$r.a * scale$h_$r;
      let b$h_$r = raw$h_$r.b * scale$h_$r;
#end
#else
      let a$h_$r = raw$h_$r.a;
      let b$h_$r = raw$h_$r.b;
#end
#end
#end
#repeat t TOKENS
      {
        let xa = x[x_at$t + chunk * 8u + 2u * o];
        let xb = x[x_at$t + chunk * 8u + 2u * o + 1u];
#repeat h SIDES
#repeat r TILE
        sum$h_$r_$t += dot(a$h_$r, xa) + dot(b$h_$r, xb);
#end
#end
      }
#end
    }
  }
#if ROW_SCALED
#repeat h SIDES
#repeat r TILE
  let row_scale$h_$r = load_scale(0u, row$h_$r);
#repeat t TOKENS
  sum$h_$r_$t *= row_scale$h_$r;
#end
#end
#end
#end
#repeat t TOKENS
  if (token + $tu < tokens) {
#repeat r TILE
#if GATED
    finish((token + $tu) * $OUT_STRIDEu, first + $ru * $LANESu, sum0_$r_$t, sum1_$r_$t);
#else
    finish((token + $tu) * $OUT_STRIDEu, first + $ru * $LANESu, sum0_$r_$t, 0.0);
#end
#end
  }
#end
}
