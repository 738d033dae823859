/** SHA-256 (FIPS 180-4) of a file in pieces, which WebCrypto cannot do: fetched where an author lists digests. */
import { hex } from './sha256';

/** The first 32 bits of the fractional parts of the roots of the first primes: FIPS 180-4 §4.2.2 and §5.3.3. */
function constants(count: number, root: (value: number) => number): Int32Array {
  const out = new Int32Array(count);
  for (let n = 2, found = 0; found < count; n++) {
    let divisor = 2;
    while (divisor * divisor <= n && n % divisor) divisor++;
    if (divisor * divisor > n) out[found++] = (root(n) % 1) * 2 ** 32;
  }
  return out;
}

export interface Sha256 {
  /** bytes taken so far */
  readonly length: number;
  update(bytes: Uint8Array): void;
  /** Hex digest of everything; no update may follow. */
  digest(): string;
}

export function createSha256(): Sha256 {
  const state = constants(8, Math.sqrt);
  const k = constants(64, Math.cbrt);
  const w = new Int32Array(64);
  const rest = new Uint8Array(64);
  let length = 0;

  function blocks(bytes: Uint8Array, from: number, to: number): void {
    let [h0, h1, h2, h3, h4, h5, h6, h7] = state;
    for (let at = from; at < to; at += 64) {
      for (let i = 0, p = at; i < 16; i++, p += 4) {
        w[i] = (bytes[p] << 24) | (bytes[p + 1] << 16) | (bytes[p + 2] << 8) | bytes[p + 3];
      }
      for (let i = 16; i < 64; i++) {
        const x = w[i - 15];
        const y = w[i - 2];
        const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
        const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
        w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
      }
      let [a, b, c, d, e, f, g, h] = [h0, h1, h2, h3, h4, h5, h6, h7];
      for (let i = 0; i < 64; i++) {
        const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
        const t1 = (h + s1 + ((e & f) ^ (~e & g)) + k[i] + w[i]) | 0;
        const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
        const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        h = g;
        g = f;
        f = e;
        e = (d + t1) | 0;
        d = c;
        c = b;
        b = a;
        a = (t1 + t2) | 0;
      }
      h0 = (h0 + a) | 0;
      h1 = (h1 + b) | 0;
      h2 = (h2 + c) | 0;
      h3 = (h3 + d) | 0;
      h4 = (h4 + e) | 0;
      h5 = (h5 + f) | 0;
      h6 = (h6 + g) | 0;
      h7 = (h7 + h) | 0;
    }
    state.set([h0, h1, h2, h3, h4, h5, h6, h7]);
  }

  return {
    get length() {
      return length;
    },
    update(bytes) {
      const held = length % 64;
      length += bytes.length;
      let at = 0;
      if (held > 0) {
        at = Math.min(64 - held, bytes.length);
        rest.set(bytes.subarray(0, at), held);
        if (held + at < 64) return;
        blocks(rest, 0, 64);
      }
      const end = at + ((bytes.length - at) & ~63);
      blocks(bytes, at, end);
      rest.set(bytes.subarray(end));
    },
    digest() {
      const held = length % 64;
      const tail = new Uint8Array(held < 56 ? 64 : 128);
      tail.set(rest.subarray(0, held));
      tail[held] = 128;
      const view = new DataView(tail.buffer);
      view.setUint32(tail.length - 8, Math.floor(length / 2 ** 29));
      view.setUint32(tail.length - 4, (length * 8) >>> 0);
      blocks(tail, 0, tail.length);
      const out = new Uint8Array(32);
      state.forEach((word, i) => {
        new DataView(out.buffer).setInt32(4 * i, word);
      });
      return hex(out);
    },
  };
}
