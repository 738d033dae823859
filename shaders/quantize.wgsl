// Dense rows from an upload buffer to NF4 (blocks of 64), straight into the layout that kernels read. A thread takes a
// block. Codes are bitsandbytes' bit for bit: nearest(w * (1 / absmax)), ties to the lower index, so the reciprocal
// must be the correctly rounded one, which WGSL's division (2.5 ULP) does not promise.
// job as in scatter.wgsl: 0 rows, 1 first row, 2 rows of the matrix, 3 elements in a row.
// Defaults: THREADS = 64; F32 = false; BF16 = false; THRESHOLDS =
@group(0) @binding(0) var<storage, read> job: array<u32, 8>;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read_write> codes: array<u32>;
@group(0) @binding(3) var<storage, read_write> scales: array<f32>;

fn element(i: u32) -> f32 {
#if F32
  return bitcast<f32>(source[i]);
#else
  let word = source[i / 2u];
#if BF16
  return bitcast<f32>(select(word << 16u, word & 0xffff0000u, (i & 1u) == 1u));
#else
  let pair = unpack2x16float(word);
  return select(pair.x, pair.y, (i & 1u) == 1u);
#end
#end
}

// 1 / value for positive normal numbers, rounded to nearest even: long division of 2^47 (or 2^48) by the mantissa.
fn reciprocal(value: f32) -> f32 {
  let bits = bitcast<u32>(value);
  let exponent = bits >> 23u;
  let mantissa = (bits & 0x7fffffu) | 0x800000u;
  if (mantissa == 0x800000u) {
    return bitcast<f32>((254u - exponent) << 23u);
  }
  // 24 bits of quotient of 2^47 / mantissa, which lies in (2^23, 2^24); the remainder decides the rounding.
  var remainder = 0x800000u;
  var quotient = 0u;
  for (var i = 0u; i < 24u; i++) {
    remainder <<= 1u;
    quotient <<= 1u;
    if (remainder >= mantissa) {
      remainder -= mantissa;
      quotient |= 1u;
    }
  }
  let twice = remainder << 1u;
  if (twice > mantissa || (twice == mantissa && (quotient & 1u) == 1u)) {
    quotient += 1u;
  }
  // 2^47 / m = q  =>  1 / (m * 2^(e - 150)) = q * 2^(103 - e)
  return bitcast<f32>(((253u - exponent) << 23u) + (quotient - 0x800000u));
}

const THRESHOLDS = array<f32, 15>($THRESHOLDS);

fn code_of(v: f32) -> u32 {
  var code = 0u;
  for (var i = 0u; i < 15u; i++) {
    code += select(0u, 1u, v > THRESHOLDS[i]);
  }
  return code;
}

@compute @workgroup_size($THREADS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * $THREADSu;
  let blocks = job[3] / 64u;
  if (at >= job[0] * blocks) {
    return;
  }
  let row = at / blocks;
  let block = at % blocks;
  let first = row * job[3] + block * 64u;
  var absmax = 0.0;
  for (var i = 0u; i < 64u; i++) {
    absmax = max(absmax, abs(element(first + i)));
  }
  scales[block * job[2] + job[1] + row] = absmax;
  // Subnormal maxima have no reciprocal in f32; such a block is zero to every kernel. (Nor do maxima above 2^126, which
  // no weights have.)
  let zero = absmax < 1.1754944e-38;
  let inverse = reciprocal(max(absmax, 1.1754944e-38));
  for (var w = 0u; w < 8u; w++) {
    var word = 0u;
    for (var k = 0u; k < 4u; k++) {
      let i = first + w * 8u + k * 2u;
      let high = select(code_of(element(i) * inverse), 7u, zero);
      let low = select(code_of(element(i + 1u) * inverse), 7u, zero);
      word |= ((high << 4u) | low) << (8u * k);
    }
    codes[((block * 2u + w / 4u) * job[2] + job[1] + row) * 4u + w % 4u] = word;
  }
}
