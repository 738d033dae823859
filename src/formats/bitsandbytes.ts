/**
 * bitsandbytes' names in safetensors, understood tensor by tensor: a weight is 4-bit when it has a quant_state,
 * LLM.int8 when it has an SCB, and dense otherwise, whatever config.json says. Any module may be quantised, embeddings
 * too.
 */
import { cut } from '../errors';
import { atMost } from './at-most';
import { corrupt, isObject, parseObject, unsupported } from './json';
import type { ByteRange, ReadBytes, TensorRecord } from './layout';
import { alignedBlock, type DenseType, type MatrixFormat, NESTED_BLOCK } from './matrix';
import type { RawTensor } from './safetensors';

const DENSE: Record<string, DenseType | 'f64'> = { F32: 'f32', F16: 'f16', BF16: 'bf16', F64: 'f64' };
const STATE = /^(.+)\.quant_state\.bitsandbytes__(nf4|fp4)$/;
const STATISTIC = /\.weight\.(absmax|quant_map|nested_|quant_state)|\.SCB$/;

const range = ({ path, start, end }: RawTensor): ByteRange => ({ path, start, end });
const bytesOf = (r: ByteRange) => r.end - r.start;

/** [rows, cols] of any shape: a vector is one row; dimensions after the first are joined. */
export function matrixShape(shape: readonly number[]): [number, number] {
  if (shape.length < 2) return [1, shape[0] ?? 1];
  return [shape[0], shape.slice(1).reduce((a, b) => a * b, 1)];
}

/**
 * Groups raw entries into one record a tensor, and says the number type of those that can be no weight.
 * Reads each 4-bit tensor's quant_state (JSON, about 100 bytes: the only place that has its shape) and quant_map.
 * @throws NibbleError corrupt-checkpoint, unsupported-quantization, both naming the tensor
 */
export async function groupTensors(
  raw: Map<string, RawTensor>,
  read: ReadBytes,
): Promise<{ records: Map<string, TensorRecord>; unread: Map<string, string> }> {
  const taken = new Set<string>();
  const take = (name: string) => {
    taken.add(name);
    return raw.get(name);
  };
  const states = [...raw.keys()].flatMap((key) => {
    const match = STATE.exec(key);
    return match ? [{ key, name: match[1], type: match[2] as 'nf4' | 'fp4' }] : [];
  });
  const small = await readPieces(
    states.flatMap(({ key, name }) => [raw.get(key)!, raw.get(`${name}.quant_map`)].filter((r) => r !== undefined)),
    read,
  );
  const records = new Map<string, TensorRecord>();
  for (const { key, name, type } of states) {
    records.set(name, bnb4Record(name, type, take(key)!, take, small));
  }
  for (const [key, tensor] of raw) {
    const scaled = tensor.dtype === 'I8' && key.endsWith('.weight') && raw.has(key.replace(/weight$/, 'SCB'));
    if (scaled && !taken.has(key)) {
      records.set(key, int8Record(key, tensor, take));
      taken.add(key);
    }
  }
  const others = [...raw].filter(([key]) => !taken.has(key));
  const orphan = others.find(([key]) => STATISTIC.test(key));
  if (orphan) {
    const [tensor, { path }] = orphan;
    throw corrupt(`${path}: ${tensor} belongs to a quantised tensor whose other parts are missing`, { path, tensor });
  }
  // refused where a model needs one: masks, position ids and other buffers are none of them
  const unread = new Map<string, string>();
  for (const [key, tensor] of others) {
    const type = DENSE[tensor.dtype];
    if (type) records.set(key, denseRecord(key, tensor, type));
    else unread.set(key, tensor.dtype);
  }
  return { records, unread };
}

function denseRecord(name: string, tensor: RawTensor, type: DenseType | 'f64'): TensorRecord {
  const [rows, cols] = matrixShape(tensor.shape);
  const data = range(tensor);
  const wide = type === 'f64';
  return {
    info: { name, rows, cols, stored: type, format: { type: wide ? 'f32' : type }, storedBytes: bytesOf(data) },
    statistics: [],
    data,
    encoding: wide ? { kind: 'f64' } : { kind: 'dense', type },
    interleavedHead: null,
  };
}

function int8Record(name: string, tensor: RawTensor, take: (name: string) => RawTensor | undefined): TensorRecord {
  const prefix = name.slice(0, -'weight'.length);
  const scb = take(`${prefix}SCB`)!;
  take(`${prefix}weight_format`); // describes a layout on the GPU, never the file's
  const [rows, cols] = matrixShape(tensor.shape);
  const { path } = tensor;
  if (scb.dtype !== 'F32' || scb.end - scb.start !== 4 * rows) {
    throw corrupt(`${path}: ${prefix}SCB is ${scb.dtype} [${scb.shape}], expected F32 [${rows}]`, {
      path,
      tensor: name,
      rows,
    });
  }
  const data = range(tensor);
  return {
    info: {
      name,
      rows,
      cols,
      stored: 'int8',
      format: { type: 'q8', block: 'row', offset: false },
      storedBytes: bytesOf(data) + 4 * rows,
    },
    statistics: [range(scb)],
    data,
    encoding: { kind: 'int8' },
    interleavedHead: null,
  };
}

function bnb4Record(
  name: string,
  type: 'nf4' | 'fp4',
  stateEntry: RawTensor,
  take: (name: string) => RawTensor | undefined,
  small: Map<RawTensor, Uint8Array>,
): TensorRecord {
  const fail = (what: string, details = {}) =>
    corrupt(`${stateEntry.path}: ${cut(name)} ${what}`, { path: stateEntry.path, tensor: name, ...details });
  const part = (suffix: string, bytes: number, dtype: string): RawTensor => {
    const found = take(name + suffix);
    if (!found) throw fail(`has a quant_state but no ${name}${suffix}`);
    if (dtype && found.dtype !== dtype) throw fail(`has ${suffix.slice(1)} in ${found.dtype}, expected ${dtype}`);
    if (found.end - found.start !== bytes) {
      throw fail(`has ${found.end - found.start} bytes of ${suffix.slice(1) || 'codes'}, expected ${bytes}`, {
        bytes: found.end - found.start,
        expected: bytes,
      });
    }
    return found;
  };
  const state = parseObject(small.get(stateEntry)!, `The quant_state of ${name}`, {
    path: stateEntry.path,
    tensor: name,
  });
  const { quant_type: stated, blocksize, shape, nested_blocksize: nestedBlock, nested_offset: offset } = state;
  if (stated !== type) throw fail(`is ${type} by name and ${JSON.stringify(stated)} by its quant_state`);
  const block = Number(blocksize);
  if (!Number.isInteger(Math.log2(block)) || block < 16 || block > 65536)
    throw fail(`has a blocksize of ${JSON.stringify(blocksize)}`);
  if (!Array.isArray(shape) || !shape.length || !shape.every((n) => Number.isSafeInteger(n) && (n as number) > 0)) {
    throw fail(`has the shape ${JSON.stringify(shape)}`);
  }
  const [rows, cols] = matrixShape(shape as number[]);
  const elements = rows * cols;
  const blocks = Math.ceil(elements / block);
  const nested = nestedBlock !== undefined;
  const weight = take(name);
  if (!weight) throw fail('has a quant_state but no codes');
  // other storage types (quant_storage) hold the same bytes, padded to whole elements of theirs
  const padded = weight.end - weight.start - Math.ceil(elements / 2);
  if (padded < 0 || padded > (weight.dtype === 'U8' ? 0 : 7)) {
    throw fail(`has ${weight.end - weight.start} bytes of codes, expected ${Math.ceil(elements / 2)} for [${shape}]`, {
      bytes: weight.end - weight.start,
      expected: Math.ceil(elements / 2),
    });
  }
  const statistics = nested
    ? [
        part('.absmax', blocks, 'U8'),
        part('.nested_absmax', 4 * Math.ceil(blocks / NESTED_BLOCK), 'F32'),
        part('.nested_quant_map', 1024, 'F32'),
      ]
    : [part('.absmax', 4 * blocks, 'F32')];
  if (nested && nestedBlock !== NESTED_BLOCK)
    throw unsupported(`${name} has a nested_blocksize of ${JSON.stringify(nestedBlock)}, expected 256`, {
      tensor: name,
    });
  if (nested && !Number.isFinite(offset)) throw fail(`has the nested_offset ${JSON.stringify(offset)}`);
  const map = part('.quant_map', 64, 'F32');
  const codebook = [...new Float32Array(small.get(map)!.slice().buffer)];
  if (!codebook.every(Number.isFinite)) throw fail('has a quant_map with infinite or undefined values');
  const aligned = alignedBlock(block, cols);
  // A larger block is repeated, which the codes of its absmax are not numbered for.
  const levels = nested && aligned === block ? ({ levels: 'nested' } as const) : {};
  const format: MatrixFormat = aligned
    ? { type: 'q4', block: aligned, offset: false, codebook, ...levels }
    : { type: 'f32' };
  const parts = [weight, ...statistics, map, stateEntry];
  return {
    info: {
      name,
      rows,
      cols,
      stored: type,
      format,
      storedBytes: parts.reduce((sum, r) => sum + bytesOf(r), 0),
    },
    statistics: statistics.map(range),
    data: { ...range(weight), end: weight.end - padded },
    encoding: { kind: 'bnb4', blocksize: block, codebook, nestedOffset: nested ? (offset as number) : null },
    interleavedHead: null,
  };
}

/** config.json may name a quantisation other than bitsandbytes': refused by name before anything is read. */
export function checkQuantMethod(config: { [key: string]: unknown }): void {
  const quantization = config.quantization_config;
  if (!isObject(quantization)) return;
  const method = quantization.quant_method ?? 'bitsandbytes';
  if (method !== 'bitsandbytes')
    throw unsupported(`The model is quantised by ${JSON.stringify(method)}`, { method: String(method) });
}

const GAP = 65536; // bytes worth reading for nothing to save a request
const AT_ONCE = 8;
const MAX_SMALL = 65536;

/** Reads many small ranges with few requests: neighbours closer than GAP are read together, AT_ONCE at a time. */
async function readPieces(wanted: RawTensor[], read: ReadBytes): Promise<Map<RawTensor, Uint8Array>> {
  const groups: RawTensor[][] = [];
  const byPlace = (a: RawTensor, b: RawTensor) => (a.path < b.path ? -1 : a.path > b.path ? 1 : a.start - b.start);
  for (const tensor of [...wanted].sort(byPlace)) {
    if (tensor.end - tensor.start > MAX_SMALL) {
      throw corrupt(`${tensor.path}: a quant_state or quant_map of ${tensor.end - tensor.start} bytes`, {
        path: tensor.path,
        bytes: tensor.end - tensor.start,
      });
    }
    const last = groups.at(-1)?.at(-1);
    if (last && last.path === tensor.path && tensor.start - last.end < GAP) groups.at(-1)!.push(tensor);
    else groups.push([tensor]);
  }
  const out = new Map<RawTensor, Uint8Array>();
  await atMost(AT_ONCE, groups, async (group) => {
    const from = group[0].start;
    const bytes = await read(group[0].path, from, group.at(-1)!.end);
    for (const tensor of group) out.set(tensor, bytes.subarray(tensor.start - from, tensor.end - from));
  });
  return out;
}
