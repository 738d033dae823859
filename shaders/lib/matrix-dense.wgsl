// A dense matrix. codes [chunk of 32 columns][row]: 64 bytes of f16 or bf16, 128 of f32.
// Defaults: ROWS = 64; CODE_WORDS = 1024; WORDS = 4; F32 = false; BF16 = false; OFFSET = false
@group(0) @binding(0) var<storage, read> codes: array<vec4u, $CODE_WORDS>;

// Where the chunk of a row begins; its words are read as they are used.
alias Chunk = u32;

fn load_chunk(chunk: u32, row: u32) -> Chunk {
  return (chunk * $ROWS + row) * $WORDS;
}

fn prepare_table(thread: u32) {}

struct Octet { a: vec4f, b: vec4f }

fn octet(c: Chunk, index: u32) -> Octet {
#if F32
  return Octet(bitcast<vec4f>(codes[c + 2u * index]), bitcast<vec4f>(codes[c + 2u * index + 1u]));
#else
  let w = codes[c + index];
#if BF16
  let even = bitcast<vec4f>(w << vec4u(16u));
  let odd = bitcast<vec4f>(w & vec4u(0xffff0000u));
  return Octet(vec4f(even.x, odd.x, even.y, odd.y), vec4f(even.z, odd.z, even.w, odd.w));
#else
  return Octet(vec4f(unpack2x16float(w.x), unpack2x16float(w.y)), vec4f(unpack2x16float(w.z), unpack2x16float(w.w)));
#end
#end
}
