/**
 * GGUF's block types: their sizes, the shape that holds each without loss (matrix.ts), and the way there. Layouts are
 * ggml's (ggml-common.h); a scale that is a product (d * sc) is rounded to f32 once, as gguf-py's dequantiser does.
 */
import { f16Table } from './half';
import { type BlockTypeName, LINEAR_CODEBOOK, type MatrixFormat, type PackedRows, type QuantisedRows } from './matrix';

export interface BlockType {
  /** columns and bytes of a block as the file has it */
  elements: number;
  bytes: number;
  format: MatrixFormat;
  /** of a K-quant, whose blocks reach the GPU as they are */
  packed?: Pick<PackedRows, 'levels' | 'halves'>;
  /** whole blocks, row-major, to codes and statistics in the same order */
  unpack(bytes: Uint8Array): QuantisedRows;
}

/** A K-quant: its format says so, and its blocks stay as they are. */
const packed = (levels: PackedRows['levels'], halves: readonly number[], type: BlockType): BlockType => ({
  ...type,
  format: { ...type.format, levels } as MatrixFormat,
  packed: { levels, halves },
});

/** Q4_0's values before the scale: code - 8. */
const CENTRED_CODEBOOK = LINEAR_CODEBOOK.map((code) => code - 8);
/** The non-linear values of IQ4_NL (kvalues_iq4nl). */
const IQ4_NL_CODEBOOK = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/**
 * Where an unpacker writes: codes of 4 bits (two a byte, the even one high) or 8, a scale a block and maybe an offset.
 */
interface Out<Codes> {
  codes: Codes;
  scales: Float32Array;
  /** empty where the type has none */
  offsets: Float32Array;
}

/** Reads the file's block at `at`; its codes begin at element `element`, its scales at `scale`. */
type Fill<Codes> = (bytes: Uint8Array, at: number, out: Out<Codes>, element: number, scale: number) => void;

const q4 = (
  elements: number,
  bytes: number,
  offset: boolean,
  codebook: readonly number[],
  fill: Fill<Uint8Array>,
): BlockType => ({
  elements,
  bytes,
  format: { type: 'q4', block: 32, offset, codebook },
  unpack(data) {
    const count = (data.length / bytes) * elements;
    const out = run(data, { elements, bytes, block: 32, offset }, new Uint8Array(count / 2), fill);
    return { type: 'q4', block: 32, codes: out.codes, scales: out.scales, offsets: offset ? out.offsets : null };
  },
});

const q8 = (
  elements: number,
  bytes: number,
  format: Extract<MatrixFormat, { type: 'q8' }> & { block: 16 | 32 },
  fill: Fill<Int8Array>,
): BlockType => ({
  elements,
  bytes,
  format,
  unpack(data) {
    const { block, offset } = format;
    const count = (data.length / bytes) * elements;
    const out = run(data, { elements, bytes, block, offset }, new Int8Array(count), fill);
    return { type: 'q8', block, codes: out.codes, scales: out.scales, offsets: offset ? out.offsets : null };
  },
});

function run<Codes>(
  data: Uint8Array,
  { elements, bytes, block, offset }: { elements: number; bytes: number; block: number; offset: boolean },
  codes: Codes,
  fill: Fill<Codes>,
): Out<Codes> {
  const count = (data.length / bytes) * elements;
  const out = {
    codes,
    scales: new Float32Array(count / block),
    offsets: new Float32Array(offset ? count / block : 0),
  };
  for (let at = 0, element = 0; at < data.length; at += bytes, element += elements) {
    fill(data, at, out, element, element / block);
  }
  return out;
}

const half = (bytes: Uint8Array, at: number): number => f16Table()[bytes[at] | (bytes[at + 1] << 8)];

/** The low nibbles of `count` bytes, then their high ones, packed two a byte from byte `to`. */
function splitNibbles(bytes: Uint8Array, at: number, count: number, codes: Uint8Array, to: number): void {
  for (let k = 0; k < count / 2; k++) {
    const even = bytes[at + 2 * k];
    const odd = bytes[at + 2 * k + 1];
    codes[to + k] = ((even & 15) << 4) | (odd & 15);
    codes[to + count / 2 + k] = (even & 240) | (odd >> 4);
  }
}

/** 32 codes of 5 bits less `centre`: nibbles at `low`, their fifth bits one after another at `high`. */
function fiveBits(bytes: Uint8Array, high: number, low: number, centre: number, codes: Int8Array, to: number): void {
  for (let j = 0; j < 16; j++) {
    const fifth = bytes[high + (j >> 3)] >> (j & 7);
    const other = bytes[high + 2 + (j >> 3)] >> (j & 7);
    codes[to + j] = ((bytes[low + j] & 15) | ((fifth & 1) << 4)) - centre;
    codes[to + 16 + j] = ((bytes[low + j] >> 4) | ((other & 1) << 4)) - centre;
  }
}

/**
 * Scales and offsets of the eight sub-blocks of a Q4_K or Q5_K block: d * sc and -(dmin * m). Twelve bytes hold sc and
 * m in 6 bits: of the first four the lower bits of bytes 0 to 7; of the others nibbles of bytes 8 to 11 under the two
 * upper bits of bytes 0 to 7.
 */
function kScales(bytes: Uint8Array, at: number, { scales, offsets }: Out<unknown>, first: number): void {
  const d = half(bytes, at);
  const dmin = half(bytes, at + 2);
  const six = at + 4;
  for (let j = 0; j < 4; j++) {
    const [sc, m, rest] = [bytes[six + j], bytes[six + 4 + j], bytes[six + 8 + j]];
    scales[first + j] = d * (sc & 63);
    offsets[first + j] = -(dmin * (m & 63));
    scales[first + 4 + j] = d * ((rest & 15) | ((sc >> 6) << 4));
    offsets[first + 4 + j] = -(dmin * ((rest >> 4) | ((m >> 6) << 4)));
  }
}

export const BLOCK_TYPES: Readonly<Record<BlockTypeName, BlockType>> = {
  Q4_0: q4(32, 18, false, CENTRED_CODEBOOK, (bytes, at, { codes, scales }, element, scale) => {
    scales[scale] = half(bytes, at);
    splitNibbles(bytes, at + 2, 16, codes, element / 2);
  }),
  Q4_1: q4(32, 20, true, LINEAR_CODEBOOK, (bytes, at, { codes, scales, offsets }, element, scale) => {
    scales[scale] = half(bytes, at);
    offsets[scale] = half(bytes, at + 2);
    splitNibbles(bytes, at + 4, 16, codes, element / 2);
  }),
  Q4_K: packed(
    'Q4_K',
    [0, 2],
    q4(256, 144, true, LINEAR_CODEBOOK, (bytes, at, out, element, scale) => {
      kScales(bytes, at, out, scale);
      for (let g = 0; g < 4; g++) splitNibbles(bytes, at + 16 + 32 * g, 32, out.codes, element / 2 + 32 * g);
    }),
  ),
  IQ4_NL: q4(32, 18, false, IQ4_NL_CODEBOOK, (bytes, at, { codes, scales }, element, scale) => {
    scales[scale] = half(bytes, at);
    splitNibbles(bytes, at + 2, 16, codes, element / 2);
  }),
  Q5_0: q8(32, 22, { type: 'q8', block: 32, offset: false }, (bytes, at, { codes, scales }, element, scale) => {
    scales[scale] = half(bytes, at);
    fiveBits(bytes, at + 2, at + 6, 16, codes, element);
  }),
  Q5_1: q8(32, 24, { type: 'q8', block: 32, offset: true }, (bytes, at, { codes, scales, offsets }, element, scale) => {
    scales[scale] = half(bytes, at);
    offsets[scale] = half(bytes, at + 2);
    fiveBits(bytes, at + 4, at + 8, 0, codes, element);
  }),
  Q5_K: packed(
    'Q5_K',
    [0, 2],
    q8(256, 176, { type: 'q8', block: 32, offset: true }, (bytes, at, out, element, scale) => {
      kScales(bytes, at, out, scale);
      for (let g = 0; g < 4; g++) {
        for (let l = 0; l < 32; l++) {
          const high = bytes[at + 16 + l] >> (2 * g);
          const low = bytes[at + 48 + 32 * g + l];
          out.codes[element + 64 * g + l] = (low & 15) | ((high & 1) << 4);
          out.codes[element + 64 * g + 32 + l] = (low >> 4) | ((high & 2) << 3);
        }
      }
    }),
  ),
  Q6_K: packed(
    'Q6_K',
    [208],
    q8(256, 210, { type: 'q8', block: 16, offset: false }, (bytes, at, { codes, scales }, element, scale) => {
      const d = half(bytes, at + 208);
      for (let i = 0; i < 16; i++) scales[scale + i] = d * ((bytes[at + 192 + i] << 24) >> 24);
      for (let group = 0; group < 8; group++) {
        // Half of the block, which nibble, and which 32 of its 64 bytes.
        const [side, nibble, part] = [group >> 2, (group >> 1) & 1, group & 1];
        for (let l = 0; l < 32; l++) {
          const low = bytes[at + 64 * side + 32 * part + l] >> (4 * nibble);
          const high = bytes[at + 128 + 32 * side + l] >> (2 * (group & 3));
          codes[element + 32 * group + l] = ((low & 15) | ((high & 3) << 4)) - 32;
        }
      }
    }),
  ),
  Q8_0: q8(32, 34, { type: 'q8', block: 32, offset: false }, (bytes, at, { codes, scales }, element, scale) => {
    scales[scale] = half(bytes, at);
    codes.set(new Int8Array(bytes.buffer, bytes.byteOffset + at + 2, 32), element);
  }),
};
