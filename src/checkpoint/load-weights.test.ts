import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { RowSlice } from '../formats/matrix';
import { tensorTable } from '../model/decoder';
import { parseSpec } from '../model/parse';
import { createFileSource } from '../sources/file-source';
import { createMemorySource } from '../sources/memory-source';
import type { Source } from '../sources/source';
import { createProgress } from '../store/progress';
import { loadWeights } from './load-weights';
import { openCheckpoint } from './open-checkpoint';

const FIXTURES = 'reference/fixtures/';
const variants = ['bf16', 'nf4', 'nf4-dq', 'nf4-mixed', 'sharded', 'gguf'].filter((v) =>
  existsSync(`${FIXTURES}tiny-llama/${v}`),
);

function folder(path: string, gguf?: string): { source: Source; reads: { path: string; start: number }[] } {
  const names = readdirSync(FIXTURES + path);
  const files = new Map(
    names.map((name): [string, Uint8Array] => [name, new Uint8Array(readFileSync(`${FIXTURES}${path}/${name}`))]),
  );
  const memory = createMemorySource(path, files, gguf);
  const reads: { path: string; start: number }[] = [];
  const read: Source['read'] = (file, start, end, signal) => {
    reads.push({ path: file, start });
    return memory.read(file, start, end, signal);
  };
  return { source: { ...memory, read }, reads };
}

class RecordingSink {
  rows = new Map<string, number>();
  vectors = new Map<string, Float32Array>();
  order: string[] = [];
  finished = false;
  async write(name: string, slice: RowSlice) {
    const have = this.rows.get(name) ?? 0;
    expect(slice.row0).toBe(have);
    if (have === 0) this.order.push(name);
    this.rows.set(name, have + slice.rows);
  }
  writeVector(name: string, values: Float32Array) {
    this.vectors.set(name, values);
  }
  async finish() {
    this.finished = true;
  }
}

describe.each(variants)('tiny-llama/%s', (variant) => {
  it('is loaded whole: every needed row once, in order, each byte read once', async () => {
    const { source, reads } = folder(`tiny-llama/${variant}`, variant === 'gguf' ? 'tiny-llama.gguf' : undefined);
    const checkpoint = await openCheckpoint(source);
    const needed = tensorTable(parseSpec(checkpoint.config));
    const sink = new RecordingSink();
    let placed = 0;
    reads.length = 0;
    await loadWeights(checkpoint, needed, sink, { onPlaced: (bytes) => (placed += bytes) });
    expect(sink.finished).toBe(true);
    for (const { name, rows, cols, kind } of needed) {
      if (kind === 'matrix') expect(sink.rows.get(name)).toBe(rows);
      else expect(sink.vectors.get(name)).toHaveLength(cols);
    }
    expect(sink.rows.size + sink.vectors.size).toBe(needed.length);
    const stored = needed.reduce((sum, { name }) => sum + checkpoint.tensors.get(name)!.storedBytes, 0);
    expect(placed).toBeCloseTo(stored, 3);
    expect(new Set(reads.map(({ path, start }) => `${path}:${start}`)).size).toBe(reads.length);
  });
});

it('reads shards one after the other', async () => {
  const { source, reads } = folder('tiny-llama/sharded');
  const checkpoint = await openCheckpoint(source);
  reads.length = 0;
  await loadWeights(checkpoint, tensorTable(parseSpec(checkpoint.config)), new RecordingSink());
  const shards = reads.map(({ path }) => path).filter((path, i, all) => path !== all[i - 1]);
  expect(shards.length).toBeGreaterThan(1);
  expect(new Set(shards).size).toBe(shards.length);
});

it('cuts tensors into slices', async () => {
  const { source } = folder('tiny-llama/bf16');
  const checkpoint = await openCheckpoint(source);
  const [name, info] = [...checkpoint.tensors].find(([, { rows }]) => rows > 16)!;
  const slices: RowSlice[] = [];
  for await (const slice of checkpoint.read(name, { sliceBytes: info.cols * 2 * 5 })) slices.push(slice);
  expect(slices.map(({ row0 }) => row0)).toEqual(slices.map((_, i) => i * 5));
  expect(slices.reduce((sum, { rows }) => sum + rows, 0)).toBe(info.rows);
});

it.each([
  ['a scale', 'nf4', /self_attn.q_proj.weight/],
  ['a norm', 'bf16', /layers.0.input_layernorm/],
])('refuses %s that is not a number', async (_, variant, pattern) => {
  const { source } = folder(`tiny-llama/${variant}`);
  const checkpoint = await openCheckpoint(source);
  const { read } = checkpoint;
  const spoilt = {
    ...checkpoint,
    async *read(name: string) {
      for await (const slice of read(name)) {
        if (pattern.test(name)) {
          if (slice.type === 'dense' || slice.type === 'packed') slice.data.fill(255, 0, 4);
          else slice.scales[0] = Number.NaN;
        }
        yield slice;
      }
    },
  };
  const loading = loadWeights(spoilt, tensorTable(parseSpec(checkpoint.config)), new RecordingSink());
  await expect(loading).rejects.toMatchObject({
    code: 'corrupt-checkpoint',
    details: { name: expect.stringMatching(pattern) },
  });
});

it('refuses blocks of K-quants whose scales of 16 bits are not numbers, in each of their places', async () => {
  const { source } = folder('tiny-gguf/gemma3', 'model.gguf');
  const checkpoint = await openCheckpoint(source);
  const seen = new Set<string>();
  for (const [name, { rows, stored }] of checkpoint.tensors) {
    for await (const slice of checkpoint.read(name)) {
      if (slice.type !== 'packed') continue;
      for (const half of slice.halves) {
        const spoilt = {
          ...checkpoint,
          async *read(of: string) {
            // infinity in the last block
            if (of === name) slice.data.set([0, 0xfc], slice.data.length - slice.block + half);
            yield* of === name ? [slice] : checkpoint.read(of);
          },
        };
        const table = tensorTable(parseSpec(checkpoint.config));
        await expect(loadWeights(spoilt, table, new RecordingSink())).rejects.toMatchObject({
          code: 'corrupt-checkpoint',
          details: { name },
        });
        slice.data.set([0, 0], slice.data.length - slice.block + half);
        seen.add(`${stored} ${half}`);
      }
      expect(slice.rows).toBe(rows);
    }
  }
  expect([...seen].sort()).toEqual(['Q4_K 0', 'Q4_K 2', 'Q5_K 0', 'Q5_K 2', 'Q6_K 208']);
});

it('reads chosen files', async () => {
  const file = (path: string, text: string) => ({ path, file: new File([text], path.split('/').at(-1)!) });
  const source = createFileSource('m', [file('config.json', '{}'), file('sub/a.bin', 'abcdef')]);
  expect(await source.size('config.json')).toBe(2);
  expect(await source.size('a.bin')).toBeNull();
  expect(new TextDecoder().decode(await source.read('sub/a.bin', 2, 5))).toBe('cde');
  await expect(source.read('sub/a.bin', 2, 7)).rejects.toMatchObject({ code: 'corrupt-checkpoint' });
  expect(createFileSource('x', [file('x.gguf', '')]).gguf).toBe('x.gguf');
});

it('reports progress at most ten times a second, with the speed of late and the time left', () => {
  let now = 0;
  const reports: {
    loadedBytes: number;
    bytesPerSecond: number | null;
    secondsLeft: number | null;
    networkBytes: number;
  }[] = [];
  const meter = createProgress(
    (progress) => reports.push(progress),
    () => now,
  );
  meter.phase('header');
  meter.total(100_000);
  meter.phase('download');
  for (let i = 0; i < 500; i++) {
    now += 10;
    meter.network('model.safetensors', 100);
    meter.network('tokenizer.json', 5000);
  }
  expect(reports.length).toBeLessThanOrEqual(52);
  const last = reports.at(-1)!;
  expect(last.loadedBytes).toBe(50_000);
  expect(last.networkBytes).toBe(50_000);
  expect(last.bytesPerSecond).toBeCloseTo(10_000, -1);
  expect(last.secondsLeft).toBeCloseTo(5, 1);
  for (let i = 0; i < 100; i++) {
    now += 100;
    meter.stored('model.safetensors', 100);
  }
  expect(reports.at(-1)!.bytesPerSecond).toBeLessThan(2000);
  expect(reports.at(-1)!.networkBytes).toBe(50_000);
});

it('knows the total from the files’ sizes while headers that lie about bring most of them', () => {
  const reports: { phase: string; loadedBytes: number; totalBytes: number }[] = [];
  let now = 0;
  const meter = createProgress(
    (progress) => reports.push(progress),
    () => (now += 200),
  );
  meter.phase('header');
  meter.file('config.json', 500);
  meter.file('model.safetensors', 100_000);
  meter.network('config.json', 500);
  meter.network('model.safetensors', 40_000);
  expect(reports.map(({ phase, totalBytes }) => [phase, totalBytes])).toEqual([
    ['header', 0],
    ['header', 100_000],
    ['download', 100_000],
  ]);
  expect(reports.at(-1)!.loadedBytes).toBe(40_000);
});
