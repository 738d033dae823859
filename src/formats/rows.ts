/**
 * From the bytes of some rows of a tensor to the RowSlice they mean. Nothing is rounded that the format does not round.
 */
import { denseValues } from './half';
import { corrupt } from './json';
import type { Encoding, TensorRecord, TensorRows } from './layout';
import { NESTED_BLOCK, type NestedScales, type RowSlice } from './matrix';

/** Where row `row` of Hugging Face's order stands in the file. */
type RowMap = (row: number) => number;

/** Bytes of `elements` consecutive elements, which never start or end inside a byte or a block. */
function encodedBytes(encoding: Encoding, elements: number): number {
  switch (encoding.kind) {
    case 'dense':
      return elements * (encoding.type === 'f32' ? 4 : 2);
    case 'f64':
      return elements * 8;
    case 'bnb4':
      return Math.ceil(elements / 2);
    case 'int8':
      return elements;
    case 'blocks':
      return (elements / encoding.elements) * encoding.bytes;
  }
}

/**
 * llama.cpp's converter stores q and k with a head's rotary pairs side by side: element s of pair j stands at 2j + s;
 * Hugging Face has it at s * head/2 + j.
 */
function unInterleave(head: number): RowMap {
  const half = head / 2;
  return (row) => {
    const inHead = row % head;
    return row - inHead + 2 * (inHead % half) + Math.floor(inHead / half);
  };
}

/**
 * The reader of one tensor's rows.
 * @param statistics the bytes of record.statistics, in that order
 * @throws NibbleError corrupt-checkpoint
 */
export function tensorRows(record: TensorRecord, statistics: readonly Uint8Array[]): TensorRows {
  const { info, encoding, data, interleavedHead } = record;
  const { rows, cols, name } = info;
  const check = (bytes: Uint8Array, expected: number) => {
    if (bytes.length === expected) return;
    throw corrupt(`${data.path}: ${bytes.length} bytes of ${name}, expected ${expected}`, {
      path: data.path,
      tensor: name,
      bytes: bytes.length,
      expected,
    });
  };
  record.statistics.forEach((range, i) => {
    check(statistics[i] ?? new Uint8Array(), range.end - range.start);
  });
  const byRow = interleavedHead !== null && rows > 1;
  const rowStep = byRow ? interleavedHead : encoding.kind === 'bnb4' && cols % 2 ? 2 : 1;
  const order = interleavedHead === null ? null : unInterleave(interleavedHead);
  const decodeRows = decoder(record, statistics);
  return {
    rowStep,
    rowBytes(row0, count) {
      const start = data.start + encodedBytes(encoding, row0 * cols);
      return { path: data.path, start, end: data.start + encodedBytes(encoding, (row0 + count) * cols) };
    },
    rowsPer(sliceBytes) {
      const stepBytes = Math.max(1, encodedBytes(encoding, rowStep * cols));
      return rowStep * Math.max(1, Math.floor(sliceBytes / stepBytes));
    },
    decode(row0, count, bytes) {
      if (row0 % rowStep || row0 + count > rows || (count % rowStep && row0 + count < rows)) {
        throw new RangeError(`rows ${row0} to ${row0 + count} of ${name} (${rows} rows, in steps of ${rowStep})`);
      }
      check(bytes, encodedBytes(encoding, (row0 + count) * cols) - encodedBytes(encoding, row0 * cols));
      if (!order) return decodeRows(row0, count, bytes);
      return decodeRows(row0, count, byRow ? gather(bytes, count, order) : gather(bytes, cols, order));
    },
  };
}

/** Copies `count` pieces of equal size into the order that `from` gives. */
function gather(bytes: Uint8Array, count: number, from: RowMap): Uint8Array {
  const size = bytes.length / count;
  const out = new Uint8Array(bytes.length);
  for (let i = 0; i < count; i++) out.set(bytes.subarray(from(i) * size, (from(i) + 1) * size), i * size);
  return out;
}

type Decode = (row0: number, rows: number, bytes: Uint8Array) => RowSlice;

function decoder(record: TensorRecord, statistics: readonly Uint8Array[]): Decode {
  const { encoding } = record;
  const { cols } = record.info;
  switch (encoding.kind) {
    case 'dense': {
      const { addend } = record;
      return (row0, rows, bytes) => {
        const data = bytes.byteOffset % 4 ? bytes.slice() : bytes;
        if (addend === undefined) return { row0, rows, cols, type: 'dense', dense: encoding.type, data };
        const values = denseValues(data, encoding.type).map((value) => value + addend);
        return { row0, rows, cols, type: 'dense', dense: 'f32', data: new Uint8Array(values.buffer) };
      };
    }
    case 'f64':
      return (row0, rows, bytes) => {
        const data = new Uint8Array(new Float32Array(new Float64Array(bytes.slice().buffer)).buffer);
        return { row0, rows, cols, type: 'dense', dense: 'f32', data };
      };
    case 'bnb4':
      return bnb4Decoder(record, encoding, statistics);
    case 'int8': {
      const scb = denseValues(statistics[0], 'f32');
      return (row0, rows, bytes) => {
        const codes = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
        const scales = scb.slice(row0, row0 + rows).map((value) => value / 127);
        return { row0, rows, cols, type: 'q8', codes, block: cols, scales, offsets: null };
      };
    }
    case 'blocks': {
      const { packed, bytes: block, unpack } = encoding;
      if (!packed) return (row0, rows, bytes) => ({ row0, rows, cols, ...unpack(bytes) });
      return (row0, rows, data) => {
        const place = { row0, rows, cols };
        return { ...place, type: 'packed', ...packed, data, block, unpack: () => unpack(data) };
      };
    }
  }
}

function nestedScales(nestedOffset: number | null, statistics: readonly Uint8Array[]): NestedScales | undefined {
  if (nestedOffset === null) return undefined;
  const [absmax, map] = [denseValues(statistics[1], 'f32'), denseValues(statistics[2], 'f32')];
  return { codes: statistics[0], absmax, map, offset: Math.fround(nestedOffset) };
}

/** absmax of blocks [first, end), in the f32 steps of bitsandbytes: map[q] * nested rounded, + offset rounded. */
function absmaxReader(nested: NestedScales | undefined, statistics: readonly Uint8Array[]) {
  if (!nested) {
    const absmax = denseValues(statistics[0], 'f32');
    return (first: number, end: number) => absmax.slice(first, end);
  }
  const { codes, absmax: groups, map, offset } = nested;
  return (first: number, end: number) => {
    const absmax = new Float32Array(end - first);
    for (let b = first; b < end; b++)
      absmax[b - first] = Math.fround(map[codes[b]] * groups[Math.floor(b / NESTED_BLOCK)]) + offset;
    return absmax;
  };
}

function bnb4Decoder(
  { info }: TensorRecord,
  { blocksize, codebook, nestedOffset }: Encoding & { kind: 'bnb4' },
  statistics: readonly Uint8Array[],
): Decode {
  const { cols, format } = info;
  const nested = nestedScales(nestedOffset, statistics);
  const absmax = absmaxReader(nested, statistics);
  if (format.type === 'q4') {
    const { block, levels } = format;
    return (row0, rows, codes) => {
      const [first, end] = [row0 * cols, (row0 + rows) * cols];
      let scales = absmax(Math.floor(first / blocksize), Math.ceil(end / blocksize));
      if (block !== blocksize) {
        const wide = scales;
        scales = new Float32Array((end - first) / block);
        for (let i = 0, at = first % blocksize; i < scales.length; i++, at += block)
          scales[i] = wide[Math.floor(at / blocksize)];
      }
      const whole = { row0, rows, cols, type: 'q4', codes, block, scales, offsets: null } as const;
      return levels ? { ...whole, nested } : whole;
    };
  }
  // blocks straddle rows where no kernel's block fits: the exact f32 values instead
  return (row0, rows, codes) => {
    const values = new Float32Array(rows * cols);
    const first = Math.floor((row0 * cols) / blocksize);
    const all = absmax(first, Math.ceil(((row0 + rows) * cols) / blocksize));
    for (let i = 0; i < values.length; i++) {
      const code = i & 1 ? codes[i >> 1] & 15 : codes[i >> 1] >> 4;
      values[i] = codebook[code] * all[Math.floor((row0 * cols + i) / blocksize) - first];
    }
    return { row0, rows, cols, type: 'dense', dense: 'f32', data: new Uint8Array(values.buffer) };
  };
}

/**
 * The f32 values of a slice, [rows * cols], each step rounded to f32: codebook[code] * scale (+ offset), int8 * scale
 * (+ offset). The reference for kernels and tests.
 * @param codebook 16 values; needed for q4 only
 */
export function sliceValues(slice: RowSlice, codebook: readonly number[] = []): Float32Array {
  if (slice.type === 'dense') return denseValues(slice.data, slice.dense).slice();
  if (slice.type === 'packed') return sliceValues({ ...slice, ...slice.unpack() }, codebook);
  const { rows, cols, block, scales, offsets } = slice;
  const out = new Float32Array(rows * cols);
  for (let i = 0; i < out.length; i++) {
    const b = Math.floor(i / block);
    const value =
      slice.type === 'q8' ? slice.codes[i] : codebook[i & 1 ? slice.codes[i >> 1] & 15 : slice.codes[i >> 1] >> 4];
    out[i] = offsets ? Math.fround(value * scales[b]) + offsets[b] : value * scales[b];
  }
  return out;
}
