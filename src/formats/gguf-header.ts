/**
 * The header of a GGUF file, v2 or v3, little-endian: metadata of typed keys and values, then one entry a tensor, then
 * (at the next multiple of the alignment) the tensors' bytes. Every count and length is checked against the file's size
 * before anything of that size is made.
 */
import { cut } from '../errors';
import { BLOCK_TYPES } from './gguf-blocks';
import { corrupt, unsupported } from './json';
import type { ReadBytes } from './layout';
import type { BlockTypeName } from './matrix';

export type GgufValue = number | bigint | boolean | string | GgufValue[];

export interface GgufTensor {
  name: string;
  /** fastest first, as GGUF has it: [cols, rows] */
  dims: number[];
  type: GgufType;
  start: number;
  end: number;
}

export interface GgufHeader {
  metadata: Map<string, GgufValue>;
  tensors: GgufTensor[];
}

export type GgufType = 'F32' | 'F16' | 'BF16' | BlockTypeName;

/** Elements and bytes of a block, of the types that Nibble reads. */
const BLOCKS: Readonly<Record<GgufType, { elements: number; bytes: number }>> = {
  F32: { elements: 1, bytes: 4 },
  F16: { elements: 1, bytes: 2 },
  BF16: { elements: 1, bytes: 2 },
  ...BLOCK_TYPES,
};

/** Names of ggml's type numbers, to refuse by name what is not read. */
const TYPES = (
  'F32 F16 Q4_0 Q4_1 4 5 Q5_0 Q5_1 Q8_0 Q8_1 Q2_K Q3_K Q4_K Q5_K Q6_K Q8_K IQ2_XXS IQ2_XS IQ3_XXS IQ1_S IQ4_NL ' +
  'IQ3_S IQ2_S IQ4_XS I8 I16 I32 I64 F64 IQ1_M BF16 31 32 33 TQ1_0 TQ2_0 36 37 38 MXFP4'
).split(' ');

const FIRST_READ = 1 << 20;
const MAX_HEADER = 64 << 20; // Gemma's, with 262,144 tokens, takes 6 MiB
/** Metadata keys, tensors, and items of all arrays together: many times what any model has. */
const MAX_ENTRIES = 1 << 16;
const MAX_ITEMS = 1 << 22;
const MAX_DIMS = 4;
const MAX_ARRAY_DEPTH = 4;

const STRING = 8;
const ARRAY = 9;
/** By metadata type: bytes, and how to read one. */
const SCALARS: Record<number, [bytes: number, get: (view: DataView, at: number) => GgufValue]> = {
  0: [1, (view, at) => view.getUint8(at)],
  1: [1, (view, at) => view.getInt8(at)],
  2: [2, (view, at) => view.getUint16(at, true)],
  3: [2, (view, at) => view.getInt16(at, true)],
  4: [4, (view, at) => view.getUint32(at, true)],
  5: [4, (view, at) => view.getInt32(at, true)],
  6: [4, (view, at) => view.getFloat32(at, true)],
  7: [1, (view, at) => view.getUint8(at) !== 0],
  10: [8, (view, at) => narrow(view.getBigUint64(at, true))],
  11: [8, (view, at) => narrow(view.getBigInt64(at, true))],
  12: [8, (view, at) => view.getFloat64(at, true)],
};
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true }); // a token may be U+FEFF

class MoreBytes {}
const MORE = new MoreBytes();

/** A cursor over the first bytes of a file; running past them while the file has more throws MORE. */
class Cursor {
  at = 0;
  /** of all arrays so far */
  private items = 0;
  private readonly view: DataView;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly fileSize: number,
    private readonly path: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  fail(what: string, details = {}) {
    return corrupt(`${this.path}: ${what}`, { path: this.path, byte: this.at, ...details });
  }

  /** Moves on by n bytes and returns where they start. */
  skip(n: number): number {
    const start = this.at;
    this.at += n;
    if (this.at > this.fileSize) throw this.fail(`the header ends at byte ${this.at} of a file of ${this.fileSize}`);
    if (this.at > this.bytes.length) throw MORE;
    return start;
  }

  /** A u64 that counts things of at least `bytes` bytes each, `limit` at most. */
  count(bytes: number, limit = Number.POSITIVE_INFINITY): number {
    const n = Number(this.view.getBigUint64(this.skip(8), true));
    if (n * bytes > this.fileSize - this.at) {
      throw this.fail(`a count of ${n} in a file of ${this.fileSize} bytes`, { count: n, fileSize: this.fileSize });
    }
    if (n > limit) throw this.fail(`a count of ${n}, more than any model needs`, { count: n, limit });
    return n;
  }

  u32 = () => this.view.getUint32(this.skip(4), true);
  u64 = () => this.view.getBigUint64(this.skip(8), true);

  string(): string {
    const length = this.count(1);
    const start = this.skip(length);
    return utf8.decode(this.bytes.subarray(start, start + length));
  }

  value(type: number, depth = 0): GgufValue {
    if (type === STRING) return this.string();
    if (type === ARRAY) return this.array(depth + 1);
    const scalar = SCALARS[type];
    if (!scalar) throw this.fail(`metadata of the unknown type ${type}`);
    return scalar[1](this.view, this.skip(scalar[0]));
  }

  private array(depth: number): GgufValue[] {
    if (depth > MAX_ARRAY_DEPTH) throw this.fail('arrays nest too deeply');
    const type = this.u32();
    const bytes = type === STRING ? 8 : type === ARRAY ? 12 : (SCALARS[type]?.[0] ?? 1);
    const n = this.count(bytes, MAX_ITEMS - this.items);
    this.items += n;
    const out: GgufValue[] = [];
    for (let i = 0; i < n; i++) out.push(this.value(type, depth));
    return out;
  }
}

const narrow = (n: bigint): number | bigint => (Number.isSafeInteger(Number(n)) ? Number(n) : n);

/**
 * Reads the header through `read`: 1 MiB, and twice as much until it suffices.
 * @throws NibbleError corrupt-checkpoint, unsupported-quantization (a tensor type, by its name)
 */
export async function readGgufHeader(path: string, read: ReadBytes, fileSize: number): Promise<GgufHeader> {
  let bytes = await read(path, 0, Math.min(fileSize, FIRST_READ));
  for (;;) {
    try {
      return parseGguf(bytes, fileSize, path);
    } catch (thrown) {
      if (thrown !== MORE) throw thrown;
    }
    const size = Math.min(fileSize, bytes.length * 2);
    if (size > MAX_HEADER)
      throw corrupt(`${path}: a header of more than ${MAX_HEADER} bytes`, { path, limit: MAX_HEADER });
    const longer = new Uint8Array(size);
    longer.set(bytes);
    longer.set(await read(path, bytes.length, size), bytes.length);
    bytes = longer;
  }
}

function parseGguf(bytes: Uint8Array, fileSize: number, path: string): GgufHeader {
  const cursor = new Cursor(bytes, fileSize, path);
  if (cursor.u32() !== 0x46554747) throw cursor.fail('this is no GGUF file');
  const version = cursor.u32();
  if (version !== 2 && version !== 3) throw cursor.fail(`GGUF version ${version}, expected 2 or 3`, { version });
  const tensorCount = cursor.count(24, MAX_ENTRIES);
  const metadataCount = cursor.count(13, MAX_ENTRIES);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < metadataCount; i++) {
    const key = cursor.string();
    if (metadata.has(key)) throw cursor.fail(`the key ${cut(key)} stands twice`, { key });
    metadata.set(key, cursor.value(cursor.u32()));
  }
  const tensors: GgufTensor[] = [];
  for (let i = 0; i < tensorCount; i++) tensors.push(parseTensor(cursor, path));
  const alignment = metadata.get('general.alignment') ?? 32;
  if (typeof alignment !== 'number' || alignment < 1 || !Number.isInteger(Math.log2(alignment))) {
    throw cursor.fail(`an alignment of ${alignment}`);
  }
  const base = Math.ceil(cursor.at / alignment) * alignment;
  placeTensors(tensors, base, alignment, fileSize, cursor);
  return { metadata, tensors };
}

/** One entry; start and end are still relative to the data section. */
function parseTensor(cursor: Cursor, path: string): GgufTensor {
  const name = cursor.string();
  const rank = cursor.u32();
  if (rank < 1 || rank > MAX_DIMS) throw cursor.fail(`${cut(name)} has ${rank} dimensions`, { tensor: name });
  const dims = Array.from({ length: rank }, () => Number(cursor.u64()));
  const number = cursor.u32();
  const type = (TYPES[number] ?? `number ${number}`) as GgufType;
  if (!Object.hasOwn(BLOCKS, type))
    throw unsupported(`${path}: ${cut(name)} has the GGUF type ${type}`, { path, tensor: name, type });
  const start = Number(cursor.u64());
  const { elements, bytes } = BLOCKS[type];
  if (dims.includes(0) || dims[0] % elements)
    throw cursor.fail(`${cut(name)} has the shape [${dims}] of ${type}`, { tensor: name });
  return { name, dims, type, start, end: start + (dims.reduce((a, b) => a * b, 1) / elements) * bytes };
}

function placeTensors(tensors: GgufTensor[], base: number, alignment: number, fileSize: number, cursor: Cursor): void {
  let at = 0;
  const names = new Set<string>();
  for (const tensor of [...tensors].sort((a, b) => a.start - b.start)) {
    const { name, start, end } = tensor;
    const details = { tensor: name, start, end, fileSize };
    if (names.has(name)) throw cursor.fail(`${cut(name)} stands twice`, details);
    names.add(name);
    if (start % alignment || start < at)
      throw cursor.fail(`${cut(name)} starts at ${start}, inside another or unaligned`, details);
    if (base + end > fileSize)
      throw cursor.fail(`${cut(name)} ends at byte ${base + end} of a file of ${fileSize}`, details);
    at = end;
    tensor.start += base;
    tensor.end += base;
  }
}
