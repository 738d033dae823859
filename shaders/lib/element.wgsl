// What a thread reads of a ring at once: 16 bytes where heads divide by that and the buffers are of vectors (VECTORS),
// else the words of four values. PARTS is how many fours of values that makes, LOAD how many values.
// Defaults: VECTORS = false; ELEMENT_WORDS = 2; ARRAY_WORDS = 1; PARTS = 1; LOAD = 4
#if VECTORS
alias Element = vec4u;
#else
alias Element = array<u32, $ELEMENT_WORDS>;
#end

// The element of a key or a value that begins at a word of the ring.
fn key_at(word: u32) -> Element {
#if VECTORS
  return keys[word / 4u];
#else
  var e: Element;
#repeat i ELEMENT_WORDS
  e[$i] = keys[word + $iu];
#end
  return e;
#end
}

fn value_at(word: u32) -> Element {
#if VECTORS
  return values[word / 4u];
#else
  var e: Element;
#repeat i ELEMENT_WORDS
  e[$i] = values[word + $iu];
#end
  return e;
#end
}

// Four values of an element.
fn quad(e: Element, part: u32) -> vec4f {
#if KV_F32
  return bitcast<vec4f>(vec4u(e[0], e[1], e[2], e[3]));
#else
#if KV_INT8
  return unpack4x8snorm(e[part]);
#else
  return vec4f(unpack2x16float(e[2u * part]), unpack2x16float(e[2u * part + 1u]));
#end
#end
}

#if KV_INT8
fn key_scale(word: u32) -> f32 {
#if VECTORS
  return bitcast<f32>(keys[word / 4u][word % 4u]);
#else
  return bitcast<f32>(keys[word]);
#end
}

fn value_scale(word: u32) -> f32 {
#if VECTORS
  return bitcast<f32>(values[word / 4u][word % 4u]);
#else
  return bitcast<f32>(values[word]);
#end
}
#end
