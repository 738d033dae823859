/**
 * What is kept of a checkpoint of 16 or 32 bits that runs in fewer: the result, as one more file of the model, which
 * the stored source keeps in chunks as it keeps any other. The file has the tensors in the order of the checkpoint, one
 * behind the other, without a header: quantised ones as blocks of a scale and its codes (NF4: bitsandbytes' absmax and
 * codes, a block of 64 in 36 bytes; int8: LLM.int8's, a row a block), the others as they are stored. Any of its bytes
 * can be made from the checkpoint's own, so that a chunk that is missing or altered is made again without the rest.
 */
import { denseValues } from '../formats/half';
import { type ByteRange, type FileLayout, type ReadBytes, recordsInOrder, type TensorRecord } from '../formats/layout';
import type { DenseType, MatrixFormat, QuantisedRows } from '../formats/matrix';
import { quantizeInt8 } from '../formats/quantize-int8';
import { quantizeNf4 } from '../formats/quantize-nf4';
import { release } from '../platform/release';
import type { StoredSource } from '../store/stored-source';
import type { Checkpoint } from './checkpoint';
import { checkpointOf } from './open-checkpoint';

/** the file's name; no model's own file is called so */
export const QUANTISED = 'nibble.quantised';

/** bytes of the checkpoint that are quantised at a time */
const PIECE_BYTES = 1 << 20;

/** How blocks of `elements` elements are held in `bytes` bytes. */
interface BlockCode {
  elements: number;
  bytes: number;
  /** whole blocks */
  pack(values: Float32Array): Uint8Array;
  unpack(bytes: Uint8Array): QuantisedRows;
}

/** A tensor's place in the file. */
interface Place {
  start: number;
  end: number;
  record: TensorRecord;
  code: BlockCode | null;
}

export interface QuantisedFile {
  /** the checkpoint over this file */
  layout: FileLayout;
  bytes: number;
  /** Makes bytes [start, end) of the file from the checkpoint's own. */
  make(start: number, end: number, read: ReadBytes): Promise<Uint8Array<ArrayBuffer>>;
}

/**
 * Keeps, in the place of the files themselves, what their matrices of 16 or 32 bits are made into.
 * @param formats of the matrices that run in other formats than they are stored in, by name
 * @returns the checkpoint over what is kept: over the files themselves, where nothing is made
 */
export async function keepQuantised(
  source: StoredSource,
  layout: FileLayout,
  formats: ReadonlyMap<string, MatrixFormat>,
): Promise<Checkpoint> {
  const made = quantisedFile(layout, formats);
  if (!made) return checkpointOf(layout, source);
  const of = layout.files.map(({ path }) => path);
  await source.keepInstead(QUANTISED, made.bytes, of, (start, end) => made.make(start, end, source.read));
  return checkpointOf(made.layout, source);
}

const NF4_BLOCK = 64;
/** 32-bit words of a block: its absmax and 64 codes of 4 bits */
const NF4_WORDS = 9;

const nf4: BlockCode = {
  elements: NF4_BLOCK,
  bytes: 4 * NF4_WORDS,
  pack(values) {
    const { codes, absmax } = quantizeNf4(values, NF4_BLOCK);
    const words = new Uint32Array(absmax.length * NF4_WORDS);
    const codeWords = new Uint32Array(codes.buffer);
    const scaleWords = new Uint32Array(absmax.buffer);
    for (let b = 0, from = 0, at = 0; b < absmax.length; b++) {
      words[at++] = scaleWords[b];
      for (let i = 1; i < NF4_WORDS; i++) words[at++] = codeWords[from++];
    }
    release(codes, absmax);
    return new Uint8Array(words.buffer);
  },
  unpack(bytes) {
    const words = new Uint32Array(new Uint8Array(bytes).buffer);
    const blocks = words.length / NF4_WORDS;
    const codes = new Uint32Array(blocks * (NF4_WORDS - 1));
    const scales = new Uint32Array(blocks);
    for (let b = 0, from = 0, at = 0; b < blocks; b++) {
      scales[b] = words[from++];
      for (let i = 1; i < NF4_WORDS; i++) codes[at++] = words[from++];
    }
    const of = { codes: new Uint8Array(codes.buffer), scales: new Float32Array(scales.buffer) };
    return { type: 'q4', block: NF4_BLOCK, ...of, offsets: null };
  },
};

/** A row is a block. */
function int8(cols: number): BlockCode {
  const bytes = 4 + cols;
  return {
    elements: cols,
    bytes,
    pack(values) {
      const { codes, scales } = quantizeInt8(values, cols);
      const out = new Uint8Array(scales.length * bytes);
      const view = new DataView(out.buffer);
      scales.forEach((scale, row) => {
        view.setFloat32(row * bytes, scale, true);
        out.set(new Uint8Array(codes.buffer, row * cols, cols), row * bytes + 4);
      });
      return out;
    },
    unpack(data) {
      const rows = data.length / bytes;
      const view = new DataView(data.buffer, data.byteOffset);
      const scales = Float32Array.from({ length: rows }, (_, row) => view.getFloat32(row * bytes, true));
      const codes = new Int8Array(rows * cols);
      for (let row = 0; row < rows; row++) {
        codes.set(new Int8Array(data.buffer, data.byteOffset + row * bytes + 4, cols), row * cols);
      }
      return { type: 'q8', block: cols, codes, scales, offsets: null };
    },
  };
}

function codeFor({ info, encoding, addend }: TensorRecord, wanted: MatrixFormat | undefined): BlockCode | null {
  if (encoding.kind !== 'dense' || addend !== undefined) return null;
  if (wanted?.type === 'q4') return nf4;
  return wanted?.type === 'q8' ? int8(info.cols) : null;
}

const widthOf = (type: DenseType) => (type === 'f32' ? 4 : 2);

/**
 * @param formats what the matrices are to become
 * @returns null when nothing is to be quantised, or something is already
 */
export function quantisedFile(layout: FileLayout, formats: ReadonlyMap<string, MatrixFormat>): QuantisedFile | null {
  const records = recordsInOrder(layout);
  const places: Place[] = [];
  let end = 0;
  for (const [name, record] of records) {
    if (record.encoding.kind !== 'dense' && record.encoding.kind !== 'f64') return null;
    const code = codeFor(record, formats.get(name));
    const { rows, cols } = record.info;
    const { data } = record;
    const start = end;
    end += code ? ((rows * cols) / code.elements) * code.bytes : data.end - data.start;
    places.push({ start, end, record, code });
  }
  if (!places.some(({ code }) => code)) return null;
  const placed = new Map(
    places.map(({ start, end, record, code }, i): [string, TensorRecord] => {
      const data: ByteRange = { path: QUANTISED, start, end };
      if (!code) return [records[i][0], { ...record, data }];
      const { elements, bytes, unpack } = code;
      return [records[i][0], { ...record, data, encoding: { kind: 'blocks', elements, bytes, unpack } }];
    }),
  );
  return {
    // sizes stay the checkpoint's: progress is told in what has to be downloaded
    layout: { ...layout, records: placed, files: [{ path: QUANTISED, bytes: end }] },
    bytes: end,
    async make(from, to, read) {
      const out = new Uint8Array(to - from);
      for (const place of places) {
        if (place.end <= from || to <= place.start) continue;
        const first = Math.max(from, place.start);
        await makePart(place, first, Math.min(to, place.end), read, out.subarray(first - from));
      }
      return out;
    },
  };
}

/** Bytes [from, to) of the file, which are all of one tensor, to the beginning of `out`. */
async function makePart({ start, record, code }: Place, from: number, to: number, read: ReadBytes, out: Uint8Array) {
  const { data, encoding } = record;
  if (!code || encoding.kind !== 'dense') {
    const piece = await read(data.path, data.start + from - start, data.start + to - start);
    out.set(piece);
    return release(piece);
  }
  const blockBytes = code.elements * widthOf(encoding.type);
  const step = Math.max(1, Math.floor(PIECE_BYTES / blockBytes));
  const last = Math.ceil((to - start) / code.bytes);
  for (let block = Math.floor((from - start) / code.bytes); block < last; block += step) {
    const count = Math.min(step, last - block);
    const at = data.start + block * blockBytes;
    const piece = await read(data.path, at, at + count * blockBytes);
    const values = denseValues(piece, encoding.type);
    const packed = code.pack(values);
    const place = start + block * code.bytes;
    out.set(packed.subarray(Math.max(0, from - place), Math.min(packed.length, to - place)), Math.max(0, place - from));
    release(piece, values, packed);
  }
}
