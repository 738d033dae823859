/**
 * safetensors: u64 length of a JSON header, the header, then the tensors' bytes, without holes or overlaps.
 * Reading validates against the file's size; writing puts small tensors first, so that a reader that needs all of
 * bitsandbytes' little JSON blobs gets them in one range request.
 */
import { cut } from '../errors';
import { atMost } from './at-most';
import { corrupt, isObject, parseObject, unsupported } from './json';
import type { FileSize, ReadBytes } from './layout';
import { readSmall } from './small-files';

/** Bytes an element of each dtype takes. */
// biome-ignore format: a table
const SIZES: Record<string, number> = {
  BOOL: 1, U8: 1, I8: 1, F8_E5M2: 1, F8_E4M3: 1, F8_E5M2FNUZ: 1, F8_E4M3FNUZ: 1, F8_E8M0: 1, I16: 2, U16: 2, F16: 2,
  BF16: 2, I32: 4, U32: 4, F32: 4, I64: 8, U64: 8, F64: 8, C64: 8,
};
/** Many times what any model has: DeepSeek-V3's 163 shards have 91,991 tensors together, and 160 KB of header each. */
const MAX_HEADER = 16e6;
const MAX_TENSORS = 1 << 16;
const MAX_RANK = 8;
const MAX_SHARDS = 1000;
/** questions about files of one model that are asked side by side */
export const AT_ONCE = 6;

/** One entry of a header; start and end count from the file's first byte. */
export interface RawTensor {
  path: string;
  dtype: string;
  shape: readonly number[];
  start: number;
  end: number;
}

/**
 * A header's JSON, without more entries than any model has, and without a name that stands twice, which JSON.parse
 * hides.
 * @throws corrupt-checkpoint
 */
function parseEntries(json: Uint8Array, path: string): Record<string, unknown> {
  const places: [start: number, end: number][] = [];
  const onKey = (...place: [start: number, end: number]) => {
    // one more is __metadata__
    if (places.push(place) <= MAX_TENSORS + 1) return;
    throw corrupt(`${path}: the header lists more than ${MAX_TENSORS} tensors`, { path, limit: MAX_TENSORS });
  };
  const header = parseObject(json, `The header of ${path}`, { path }, { onKey, values: 16 * MAX_TENSORS });
  if (Object.keys(header).length === places.length) return header;
  const names = places.map(([start, end]) => JSON.parse(new TextDecoder().decode(json.subarray(start, end))));
  const seen = new Set<string>();
  const twice: string = names.find((name) => seen.size === seen.add(name).size);
  throw corrupt(`${path}: the header lists ${cut(twice)} twice`, { path, tensor: twice });
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/**
 * Reads and validates a header.
 * @param bytes the first bytes of the file: the length and the whole header
 * @param fileSize bytes of the whole file
 * @throws NibbleError corrupt-checkpoint, unsupported-quantization (a dtype of unknown size)
 */
export function parseHeader(bytes: Uint8Array, fileSize: number, path: string): Map<string, RawTensor> {
  const base = 8 + headerLength(bytes, fileSize, path);
  if (bytes.length < base) throw corrupt(`${path}: ${bytes.length} of ${base} header bytes`, { path });
  const header = parseEntries(bytes.subarray(8, base), path);
  const out = new Map<string, RawTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name !== '__metadata__') out.set(name, parseEntry(name, entry, base, fileSize, path));
  }
  let at = base;
  for (const [name, { start, end }] of [...out].sort((a, b) => a[1].start - b[1].start || a[1].end - b[1].end)) {
    if (start !== at) {
      const what = start < at ? 'overlaps the tensor before it' : 'leaves a hole before it';
      throw corrupt(`${path}: ${cut(name)} starts at byte ${start} and ${what}, which ends at ${at}`, {
        path,
        tensor: name,
        start,
        expected: at,
      });
    }
    at = end;
  }
  if (at !== fileSize)
    throw corrupt(`${path}: the tensors end at byte ${at} of ${fileSize}`, { path, end: at, fileSize });
  return out;
}

function headerLength(bytes: Uint8Array, fileSize: number, path: string): number {
  if (bytes.length < 8) throw corrupt(`${path} has ${fileSize} bytes, too few for a header`, { path, fileSize });
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  if (length < 2 || length > MAX_HEADER || 8 + length > fileSize) {
    const most = length > MAX_HEADER ? `, where ${MAX_HEADER} are the most` : '';
    throw corrupt(`${path}: a header of ${length} bytes in a file of ${fileSize}${most}`, {
      path,
      headerBytes: length,
      fileSize,
      limit: MAX_HEADER,
    });
  }
  return length;
}

function parseEntry(name: string, entry: unknown, base: number, fileSize: number, path: string): RawTensor {
  const fail = (what: string, details = {}) =>
    corrupt(`${path}: ${cut(name)} ${what}`, { path, tensor: name, ...details });
  if (!isObject(entry)) throw fail('is no object');
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string') throw fail('has no dtype');
  if (!Object.hasOwn(SIZES, dtype))
    throw unsupported(`${path}: ${cut(name)} has the number type ${cut(dtype)}`, { path, tensor: name, dtype });
  if (!Array.isArray(shape) || shape.length > MAX_RANK || !shape.every(isCount))
    throw fail(`has a shape that is no list of sizes, ${MAX_RANK} at most`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) throw fail('has bad data_offsets');
  const sizes = shape as number[];
  const [start, end] = (offsets as number[]).map((offset) => base + offset);
  const bytes = sizes.includes(0) ? 0 : sizes.reduce((a, b) => a * b, SIZES[dtype]); // an overflow is > any fileSize
  if (start > end || end > fileSize) {
    throw fail(`lies at bytes ${start} to ${end} of a file of ${fileSize}`, { start, end, fileSize });
  }
  if (bytes !== end - start) {
    throw fail(`[${sizes}] of ${dtype} takes ${bytes} bytes, but ${end - start} are given`, {
      bytes,
      given: end - start,
    });
  }
  return { path, dtype, shape: sizes, start, end };
}

/** Reads one file's header through `read`: a first guess of 64 KiB, then the rest if the header is longer. */
export async function readHeader(path: string, read: ReadBytes, fileSize: number): Promise<Map<string, RawTensor>> {
  let bytes = await read(path, 0, Math.min(fileSize, 65536));
  const need = 8 + headerLength(bytes, fileSize, path);
  if (need > bytes.length) {
    const whole = new Uint8Array(need);
    whole.set(bytes);
    whole.set(await read(path, bytes.length, need), bytes.length);
    bytes = whole;
  }
  return parseHeader(bytes, fileSize, path);
}

/** Names of the shards in model.safetensors.index.json, and which tensor lies in which. */
export function parseIndex(bytes: Uint8Array, path: string): Map<string, string> {
  const map = parseObject(bytes, path).weight_map;
  if (!isObject(map)) throw corrupt(`${path} has no weight_map`, { path });
  const out = new Map<string, string>();
  for (const [name, shard] of Object.entries(map)) {
    // a shard is a file beside the index: nothing that climbs out of the folder or names another host
    if (typeof shard !== 'string' || !/^[\w-][\w.-]*\.safetensors$/.test(shard)) {
      throw corrupt(`${path}: ${cut(name)} is said to lie in ${cut(JSON.stringify(shard))}`, { path, tensor: name });
    }
    out.set(name, shard);
  }
  return out;
}

export interface TensorFiles {
  tensors: Map<string, RawTensor>;
  files: { path: string; bytes: number }[];
}

/** The weight files of a folder. */
export interface WeightFiles {
  files: { path: string; bytes: number }[];
  /** in which of them the index has each tensor; null when there is one */
  where: Map<string, string> | null;
}

export const SINGLE = 'model.safetensors';
export const INDEX = `${SINGLE}.index.json`;

/**
 * model.safetensors, or the shards that model.safetensors.index.json names, with their sizes; no header is read.
 * @returns null when there is neither
 * @throws NibbleError corrupt-checkpoint: a missing shard
 */
export async function findWeightFiles(read: ReadBytes, size: FileSize): Promise<WeightFiles | null> {
  const bytes = await size(SINGLE);
  if (bytes !== null) return { files: [{ path: SINGLE, bytes }], where: null };
  const index = await readSmall(INDEX, read, size);
  if (index === null) return null;
  const where = parseIndex(index, INDEX);
  const shards = [...new Set(where.values())].sort();
  if (shards.length > MAX_SHARDS)
    throw corrupt(`${INDEX} names ${shards.length} shards`, { path: INDEX, shards: shards.length, limit: MAX_SHARDS });
  // side by side: one after the other, each would wait for the server anew
  const files = await atMost(AT_ONCE, shards, async (path) => {
    const shardBytes = await size(path);
    if (shardBytes === null)
      throw corrupt(`The shard ${cut(path)} is missing (one of ${shards.length})`, { path, shards: shards.length });
    return { path, bytes: shardBytes };
  });
  return { files, where };
}

/**
 * All entries of the weight files' headers. As transformers has it, an index says which files there are and nothing
 * more: what it names and no shard has is not there, and what a shard has beside that is. Of a tensor in two shards
 * that one counts which the index says, else the last.
 */
export async function readTensors({ files, where }: WeightFiles, read: ReadBytes): Promise<Map<string, RawTensor>> {
  const headers = await atMost(AT_ONCE, files, ({ path, bytes }) => readHeader(path, read, bytes));
  const tensors = new Map<string, RawTensor>();
  for (const [name, tensor] of headers.flatMap((header) => [...header]))
    if (!tensors.has(name) || (where?.get(name) ?? tensor.path) === tensor.path) tensors.set(name, tensor);
  return tensors;
}

export interface NewTensor {
  name: string;
  dtype: 'U8' | 'I8' | 'F16' | 'BF16' | 'F32';
  shape: readonly number[];
  data: Uint8Array;
}

/**
 * A safetensors file: its bytes are the returned parts, one after the other. Tensors under 64 KiB come first, both
 * groups in dtype order (as the format's own writer has it, so that each starts aligned), then by name.
 */
export function writeSafetensors(tensors: readonly NewTensor[]): Uint8Array[] {
  const rank = (t: NewTensor) => (t.data.length < 65536 ? 0 : 10) - SIZES[t.dtype];
  const ordered = [...tensors].sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
  let at = 0;
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  for (const { name, dtype, shape, data } of ordered) {
    header[name] = { dtype, shape, data_offsets: [at, at + data.length] };
    at += data.length;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const start = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(32);
  start.set(text, 8);
  new DataView(start.buffer).setBigUint64(0, BigInt(start.length - 8), true);
  return [start, ...ordered.map((t) => t.data)];
}
