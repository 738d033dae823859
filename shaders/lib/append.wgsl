// A new token's key (normed, rotated) and value of one KV head into the ring: slot = position mod capacity,
// [slot][kv head][HEAD_SIZE]. All threads of a workgroup take part; head-value and kv are included too. A thread writes
// whole elements of the buffers, as they are declared: a write to one word of a vector may write its others.
// Defaults: KEY_VECTORS = false; VALUE_VECTORS = false
#if KEY_VECTORS
@group(0) @binding(1) var<storage, read_write> keys: array<vec4u>;
#else
@group(0) @binding(1) var<storage, read_write> keys: array<u32>;
#end
#if VALUE_VECTORS
@group(0) @binding(2) var<storage, read_write> values: array<vec4u>;
#else
@group(0) @binding(2) var<storage, read_write> values: array<u32>;
#end

var<workgroup> fresh: array<f32, 2 * $HEAD_SIZE>;   // the key, then the value
#if KV_INT8
// The largest magnitude is a head's scale, in K and in V; floats that are not negative order as their bits do.
var<workgroup> largest: array<atomic<u32>, 2>;
#end

// Where the key of a head of this buffer is in a token's row of qkv.
fn key_base(row: u32, head: u32) -> u32 {
  return row + ($HEADSu + $FIRST_HEADu + head) * $HEAD_SIZEu;
}

// rms: as head_rms() has it for this key; row: where the token's row of qkv begins; head: of those in this buffer
fn append_head(thread: u32, rms: f32, row: u32, head: u32, position: u32, slots: u32) {
  let slot = position % slots;
  let k_base = key_base(row, head);
  let v_base = k_base + $KV_HEADSu * $HEAD_SIZEu;
  for (var d = thread; d < $HEAD_SIZEu; d += $THREADSu) {
    let k = head_value(k_base, d, position, rms);
    let v = qkv[v_base + d];
    fresh[d] = k;
    fresh[$HEAD_SIZEu + d] = v;
#if KV_INT8
    atomicMax(&largest[0], bitcast<u32>(abs(k)));
    atomicMax(&largest[1], bitcast<u32>(abs(v)));
#end
  }
  workgroupBarrier();
  let at = slot * ROW + head * $HEAD_WORDSu;
#if KV_INT8
  let scale = bitcast<vec2f>(vec2u(atomicLoad(&largest[0]), atomicLoad(&largest[1])));
  let divisor = select(scale, vec2f(1.0), scale == vec2f(0.0));
  if (thread == 0u) {
    keys[scale_at(slots, slot, head)] = bitcast<u32>(scale.x);
    values[scale_at(slots, slot, head)] = bitcast<u32>(scale.y);
  }
#else
  let divisor = vec2f(1.0);
#end
#if KEY_VECTORS
  for (var w = thread * 4u; w < $HEAD_WORDSu; w += $THREADSu * 4u) {
    keys[(at + w) / 4u] = fresh_words(0u, w, divisor.x);
  }
#else
  for (var w = thread; w < $HEAD_WORDSu; w += $THREADSu) {
    keys[at + w] = fresh_word(0u, w, divisor.x);
  }
#end
#if VALUE_VECTORS
  for (var w = thread * 4u; w < $HEAD_WORDSu; w += $THREADSu * 4u) {
    values[(at + w) / 4u] = fresh_words($HEAD_SIZEu, w, divisor.y);
  }
#else
  for (var w = thread; w < $HEAD_WORDSu; w += $THREADSu) {
    values[at + w] = fresh_word($HEAD_SIZEu, w, divisor.y);
  }
#end
}

fn fresh_word(from_value: u32, word: u32, divisor: f32) -> u32 {
#if KV_F32
  return bitcast<u32>(fresh[from_value + word]);
#else
#if KV_INT8
  let d = from_value + 4u * word;
  return pack4x8snorm(vec4f(fresh[d], fresh[d + 1u], fresh[d + 2u], fresh[d + 3u]) / divisor);
#else
  let d = from_value + 2u * word;
  return pack2x16float(vec2f(fresh[d], fresh[d + 1u]));
#end
#end
}

fn fresh_words(from_value: u32, word: u32, divisor: f32) -> vec4u {
  return vec4u(
    fresh_word(from_value, word, divisor), fresh_word(from_value, word + 1u, divisor),
    fresh_word(from_value, word + 2u, divisor), fresh_word(from_value, word + 3u, divisor));
}
