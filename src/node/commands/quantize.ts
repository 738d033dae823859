/**
 * nibble quantize: a 16- or 32-bit checkpoint -> NF4 with bitsandbytes' names, in Hugging Face layout. Tensor by
 * tensor: one tensor and one shard are held at a time.
 */
import { mkdir, open, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Checkpoint } from '../../checkpoint/checkpoint';
import { NibbleError } from '../../errors';
import { denseValues } from '../../formats/half';
import { NF4_CODEBOOK } from '../../formats/matrix';
import { type Nf4, nestedQuantMap, nf4Tensors, quantizeAbsmax, quantizeNf4 } from '../../formats/quantize-nf4';
import { type NewTensor, writeSafetensors } from '../../formats/safetensors';
import { EMBEDDING, tensorTable } from '../../model/decoder';
import { specOf } from '../../runtime/planning';
import type { Arguments } from '../arguments';
import { openHeaders } from '../open';
import { log, mib, print } from '../terminal';

const SHARD_BYTES = 1 << 30;

export async function quantize(args: Arguments): Promise<void> {
  const from = args.positional(0, 'IN');
  const to = args.positional(1, 'OUT');
  const double = args.flag('double-quant');
  const checkpoint = await openHeaders(args, from, true);
  const table = tensorTable(specOf(checkpoint));
  const kept = args.list('keep');
  const names = new Map(table.map(({ name, kind }) => [name, kind]));
  const isKept = (name: string) =>
    name === EMBEDDING || name.includes('lm_head') || kept.some((part) => name.includes(part));
  for (const part of kept) {
    if (![...names.keys()].some((name) => name.includes(part))) {
      throw new NibbleError('invalid-option', `--keep ${part} names no tensor of ${from}.`, { keep: part });
    }
  }
  for (const { name, stored, format } of checkpoint.tensors.values()) {
    if (!names.has(name) || (format.type !== 'q4' && format.type !== 'q8')) continue;
    throw new NibbleError('unsupported-quantization', `${name} is already ${stored}; quantise the original.`, {
      name,
      stored,
    });
  }
  await mkdir(to, { recursive: true });
  if ((await readdir(to)).length > 0)
    throw new NibbleError('invalid-option', `${to} is not empty; name a new folder.`, { path: to });
  const shards = createShards(to);
  const error = { sum: 0, squares: 0, signal: 0, largest: 0, count: 0 };
  for (const [name, info] of checkpoint.tensors) {
    if (!names.has(name)) continue;
    if (names.get(name) === 'vector' || isKept(name)) await shards.add([await denseTensor(checkpoint, name)]);
    else {
      const values = await valuesOf(checkpoint, name);
      const nf4 = quantizeNf4(values);
      measure(values, nf4, double, error);
      await shards.add(nf4Tensors(name, [info.rows, info.cols], nf4, { dtype: dtypeOf(checkpoint), double }));
    }
    log(args, name);
  }
  await shards.finish();
  const config = { ...checkpoint.config, quantization_config: quantizationConfig(double, dtypeOf(checkpoint), kept) };
  await writeFile(join(to, 'config.json'), `${pythonJson(config)}\n`);
  for (const file of [
    'generation_config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'special_tokens_map.json',
    'chat_template.jinja',
    'LICENSE',
    ...(checkpoint.modules?.files ?? []),
  ]) {
    const bytes = await checkpoint.source.size(file);
    if (bytes === null) log(args, `no ${file} to copy`);
    else {
      await mkdir(dirname(join(to, file)), { recursive: true });
      await writeFile(join(to, file), await checkpoint.source.read(file, 0, bytes));
    }
  }
  checkpoint.close();
  const result = {
    bytes_in: checkpoint.totalBytes,
    bytes_out: shards.bytes(),
    shards: shards.count(),
    quantized: error.count,
    error_statistics: {
      mean_absolute: error.sum / error.count,
      rms: Math.sqrt(error.squares / error.count),
      largest: error.largest,
      sqnr_db: 10 * Math.log10(error.signal / error.squares),
    },
  };
  const of = result.error_statistics;
  await print(args, result, () =>
    [
      `${mib(result.bytes_in)} -> ${mib(result.bytes_out)} in ${result.shards} files; ${result.quantized} values quantised`,
      `error: mean ${of.mean_absolute.toExponential(3)}, rms ${of.rms.toExponential(3)}, largest ${of.largest.toExponential(3)}, ${of.sqnr_db.toFixed(2)} dB`,
    ].join('\n'),
  );
}

/** JSON as Python reads it, which has Infinity as a number. */
function pythonJson(value: unknown): string {
  const infinite: unknown[] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const marked = (_: string, each: unknown) => (infinite.includes(each) ? `\0${each}` : each);
  return JSON.stringify(value, marked, 2).replace(/"\\u0000(-?Infinity)"/g, '$1');
}

const dtypeOf = ({ config }: Checkpoint): string => String(config.torch_dtype ?? config.dtype ?? 'bfloat16');

async function valuesOf(checkpoint: Checkpoint, name: string): Promise<Float32Array> {
  const { rows, cols } = checkpoint.tensors.get(name)!;
  const values = new Float32Array(rows * cols);
  for await (const slice of checkpoint.read(name)) {
    if (slice.type === 'dense') values.set(denseValues(slice.data, slice.dense), slice.row0 * cols);
  }
  return values;
}

/** A tensor as it is stored. */
async function denseTensor(checkpoint: Checkpoint, name: string): Promise<NewTensor> {
  const { rows, cols, stored } = checkpoint.tensors.get(name)!;
  const dtype = stored === 'f32' || stored === 'f64' ? 'F32' : stored === 'f16' ? 'F16' : 'BF16';
  const data = new Uint8Array(rows * cols * (dtype === 'F32' ? 4 : 2));
  let at = 0;
  for await (const slice of checkpoint.read(name)) {
    if (slice.type !== 'dense') continue;
    data.set(slice.data, at);
    at += slice.data.length;
  }
  return { name, dtype, shape: rows === 1 ? [cols] : [rows, cols], data };
}

function measure(
  values: Float32Array,
  { codes, absmax }: Nf4,
  double: boolean,
  error: { sum: number; squares: number; signal: number; largest: number; count: number },
): void {
  let scales = absmax;
  if (double) {
    const nested = quantizeAbsmax(absmax);
    const map = nestedQuantMap();
    scales = absmax.map((_, i) => map[nested.codes[i]] * nested.absmax[i >> 8] + nested.offset);
  }
  for (let i = 0; i < values.length; i++) {
    const byte = codes[i >> 1];
    const off = Math.abs(NF4_CODEBOOK[i & 1 ? byte & 15 : byte >> 4] * scales[i >> 6] - values[i]);
    error.sum += off;
    error.squares += off * off;
    error.signal += values[i] * values[i];
    if (off > error.largest) error.largest = off;
  }
  error.count += values.length;
}

function quantizationConfig(double: boolean, dtype: string, kept: readonly string[]): object {
  return {
    quant_method: 'bitsandbytes',
    load_in_4bit: true,
    load_in_8bit: false,
    bnb_4bit_quant_type: 'nf4',
    bnb_4bit_use_double_quant: double,
    bnb_4bit_compute_dtype: dtype,
    bnb_4bit_quant_storage: 'uint8',
    llm_int8_skip_modules: kept.length > 0 ? ['lm_head', ...kept] : null,
  };
}

/** Collects tensors into files of about 1 GiB, and the index where there is more than one. */
function createShards(folder: string) {
  let pending: NewTensor[] = [];
  let pendingBytes = 0;
  let total = 0;
  const written: { path: string; names: string[] }[] = [];
  const flush = async () => {
    if (pending.length === 0) return;
    const path = `part-${written.length + 1}.safetensors`;
    const file = await open(join(folder, path), 'w');
    for (const part of writeSafetensors(pending)) await file.write(part);
    await file.close();
    written.push({ path, names: pending.map(({ name }) => name) });
    pending = [];
    pendingBytes = 0;
  };
  return {
    bytes: () => total,
    count: () => written.length,
    async add(tensors: NewTensor[]) {
      const bytes = tensors.reduce((sum, { data }) => sum + data.length, 0);
      if (pendingBytes + bytes > SHARD_BYTES) await flush();
      pending.push(...tensors);
      pendingBytes += bytes;
      total += bytes;
    },
    async finish() {
      await flush();
      const { rename } = await import('node:fs/promises');
      const pad = (n: number) => String(n).padStart(5, '0');
      const weights: Record<string, string> = {};
      for (const [i, { path, names }] of written.entries()) {
        const final =
          written.length === 1 ? 'model.safetensors' : `model-${pad(i + 1)}-of-${pad(written.length)}.safetensors`;
        await rename(join(folder, path), join(folder, final));
        for (const name of names) weights[name] = final;
      }
      if (written.length === 1) return;
      const index = { metadata: { total_size: total }, weight_map: weights };
      await writeFile(join(folder, 'model.safetensors.index.json'), `${JSON.stringify(index, null, 2)}\n`);
    },
  };
}
