import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { NibbleError } from '../errors';
import {
  findWeightFiles,
  type NewTensor,
  parseHeader,
  parseIndex,
  readHeader,
  readTensors,
  writeSafetensors,
} from './safetensors';
import { fixture, inMemory, joined, loadFolder, openFiles, readValues } from './test/files';

/** A file of this header text and `data` bytes. */
function file(header: unknown, data = 0): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const out = new Uint8Array(8 + text.length + data);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  return out;
}
const parse = (bytes: Uint8Array, size = bytes.length) => parseHeader(bytes, size, 'm.safetensors');
const f32 = (shape: number[], start: number, end: number) => ({ dtype: 'F32', shape, data_offsets: [start, end] });

function failure(action: () => unknown): NibbleError {
  try {
    action();
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(NibbleError);
    return thrown as NibbleError;
  }
  throw new Error('nothing was thrown');
}

describe('parseHeader', () => {
  it('gives offsets from the start of the file', () => {
    const bytes = file(
      { __metadata__: { format: 'pt' }, b: f32([2], 4, 12), a: f32([], 0, 4), z: f32([0, 5], 4, 4) },
      12,
    );
    const base = bytes.length - 12;
    const tensors = parse(bytes);
    expect(tensors.get('a')).toMatchObject({ shape: [], start: base, end: base + 4 });
    expect(tensors.get('b')).toMatchObject({ shape: [2], start: base + 4, end: base + 12 });
    expect([...tensors.keys()]).toEqual(['b', 'a', 'z']);
  });

  const lies: [string, Uint8Array, RegExp][] = [
    ['a file of 5 bytes', new Uint8Array(5), /too few/],
    ['a header longer than the file', file('{}').map((b, i) => (i === 1 ? 9 : b)), /header of 2306 bytes/],
    ['a header of 2^63 bytes', file('{}').map((b, i) => (i === 7 ? 128 : b)), /header of/],
    ['no JSON', file('{"a":'), /not valid JSON/],
    ['a list', file('[1]'), /no JSON object/],
    ['an entry that is no object', file({ a: 3 }), /a is no object/],
    ['no dtype', file({ a: { shape: [1], data_offsets: [0, 4] } }, 4), /no dtype/],
    ['a negative size', file({ a: f32([-1], 0, 4) }, 4), /shape/],
    ['a fractional size', file({ a: f32([0.5, 2], 0, 4) }, 4), /shape/],
    ['a shape that overflows', file({ a: f32([2 ** 40, 2 ** 40], 0, 4) }, 4), /takes 4.8\d+e\+24 bytes, but 4/],
    ['a shape of the wrong size', file({ a: f32([2], 0, 4) }, 4), /takes 8 bytes, but 4/],
    ['offsets past the end', file({ a: f32([2], 0, 8) }, 4), /lies at bytes/],
    ['offsets in the wrong order', file({ a: f32([0], 4, 0) }, 4), /lies at bytes/],
    ['three offsets', file({ a: { dtype: 'F32', shape: [1], data_offsets: [0, 4, 8] } }, 4), /data_offsets/],
    ['tensors that overlap', file({ a: f32([2], 0, 8), b: f32([1], 4, 8) }, 8), /overlaps/],
    ['a hole', file({ a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12), /hole/],
    ['bytes that belong to nothing', file({ a: f32([1], 0, 4) }, 5), /end at byte/],
    [
      'a name twice',
      file(
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061" :{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        4,
      ),
      /lists a twice/,
    ],
  ];
  it.each(lies)('refuses %s', (_, bytes, message) => {
    const error = failure(() => parse(bytes));
    expect(error.code).toBe('corrupt-checkpoint');
    expect(error.message).toMatch(message);
    expect(error.details).toHaveProperty('path');
  });

  it('survives very deep nesting', () => {
    const bytes = file(`{"a":${'['.repeat(300_000)}${']'.repeat(300_000)}}`);
    expect(failure(() => parse(bytes)).code).toBe('corrupt-checkpoint');
  });

  it('refuses a number type of unknown size by name', () => {
    const error = failure(() => parse(file({ a: { dtype: 'F4', shape: [8], data_offsets: [0, 4] } }, 4)));
    expect(error.code).toBe('unsupported-quantization');
    expect(error.details).toMatchObject({ tensor: 'a', dtype: 'F4' });
  });

  it('reads a header longer than the first guess with a second request', async () => {
    const entries = Array.from({ length: 2000 }, (_, i) => [
      `layer.${i}.some.long.name.weight`,
      f32([1], 4 * i, 4 * i + 4),
    ]);
    const bytes = file(Object.fromEntries(entries), 8000);
    const { read, log } = inMemory({ m: bytes });
    expect((await readHeader('m', read, bytes.length)).size).toBe(2000);
    expect(log.map(({ start, end }) => [start, end])).toEqual([
      [0, 65536],
      [65536, bytes.length - 8000],
    ]);
  });
});

describe('a header that would take much memory', () => {
  const entry = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}';
  const many = (n: number) =>
    `{"__metadata__":{},${Array.from({ length: n }, (_, i) => `"t${i}":${entry}`).join(',')}}`;

  it('may list 65,536 tensors, and is refused with one more before anything is made of it', () => {
    expect(parse(file(many(65536))).size).toBe(65536);
    const parsed = vi.spyOn(JSON, 'parse');
    try {
      expect(failure(() => parse(file(many(65537)))).message).toMatch(/lists more than 65536 tensors/);
      expect(parsed).not.toHaveBeenCalled();
    } finally {
      parsed.mockRestore();
    }
  });

  it('is not read where it is said to have more than 16 MB', async () => {
    const bytes = file('{}');
    new DataView(bytes.buffer).setBigUint64(0, 99_000_000n, true);
    const { read, log } = inMemory({ m: bytes });
    await expect(
      readHeader('m', async (path, start, end) => read(path, start, Math.min(end, bytes.length)), 8e9),
    ).rejects.toMatchObject({ code: 'corrupt-checkpoint', details: { headerBytes: 99_000_000, limit: 16e6 } });
    expect(log.every(({ end }) => end <= 65536)).toBe(true);
  });

  it('has tensors of eight dimensions at most', () => {
    const ones = (n: number) => file({ a: f32(Array(n).fill(1), 0, 4) }, 4);
    expect(parse(ones(8)).size).toBe(1);
    expect(failure(() => parse(ones(9))).message).toMatch(/a has a shape that is no list of sizes, 8 at most/);
  });

  it('may have a name of millions of escapes, which is cut in the sentence and in the details', () => {
    const name = '\\u0000'.repeat(1_200_000);
    expect(parse(file(`{"${name}":${entry}}`)).size).toBe(1);
    const error = failure(() => parse(file(`{"${name}":3}`)));
    expect(error.message).toMatch(/is no object\. Download the file again/);
    expect(error.message.length).toBeLessThan(400);
    expect((error.details.tensor as string).length).toBe(201);
    const twice = failure(() => parse(file(`{"${name}":${entry},"${name}":${entry}}`)));
    expect(twice.message).toMatch(/twice\. Download/);
  });

  it.each([
    ['number type', (name: string) => `{"a":{"dtype":"${name}","shape":[1],"data_offsets":[0,4]}}`],
    ['tensor', (name: string) => `{"${name}":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}`],
  ])('says a long name of a %s by its beginning, and what helps in full', (_, header) => {
    for (const name of ['x'.repeat(1e6), 'x '.repeat(5e5)]) {
      const { message, details } = failure(() => parse(file(header(name), 4)));
      expect(message).toMatch(/^m\.safetensors: .*…? has the number type .*Choose a version of the model/);
      expect(message.length).toBeLessThan(900);
      expect(JSON.stringify(details).length).toBeLessThan(600);
    }
  });
});

describe('an index', () => {
  const INDEX = 'model.safetensors.index.json';
  const of = (shards: number) =>
    Buffer.from(
      JSON.stringify({
        weight_map: Object.fromEntries(Array.from({ length: shards }, (_, i) => [`t${i}`, `m${i}.safetensors`])),
      }),
    );

  /** How many questions there were, and how many at once. */
  async function asked(index: Uint8Array, shardBytes: number | null = 8) {
    const seen = { questions: 0, now: 0, most: 0, read: 0 };
    const question = async <T>(answer: T) => {
      seen.questions++;
      seen.most = Math.max(seen.most, ++seen.now);
      await new Promise((resolve) => setImmediate(resolve));
      seen.now--;
      return answer;
    };
    const size = (path: string) =>
      question(path === 'model.safetensors' ? null : path === INDEX ? index.length : shardBytes);
    const read = (_: string, start: number, end: number) => {
      seen.read += end - start;
      return question(index.slice(start, end));
    };
    const found = await findWeightFiles(read, size).catch((error) => error);
    return { found, seen };
  }

  it('asks for six of its shards at once', async () => {
    const { found, seen } = await asked(of(1000));
    expect(found.files.map(({ path }: { path: string }) => path)).toContain('m999.safetensors');
    expect(seen).toMatchObject({ questions: 1003, most: 6 });
  });

  it('may name a thousand shards; with one more none is asked for', async () => {
    const { found, seen } = await asked(of(1001));
    expect(found).toMatchObject({ code: 'corrupt-checkpoint', details: { shards: 1001, limit: 1000 } });
    expect(seen.questions).toBe(3);
  });

  it('asks for no more once a shard is missing', async () => {
    const { found, seen } = await asked(of(1000), null);
    expect(found.message).toMatch(/^The shard m0\.safetensors is missing/);
    expect(seen.questions).toBeLessThan(20);
  });

  it('of more than 16 MB is not read', async () => {
    const { found, seen } = await asked(new Uint8Array(16e6 + 1));
    expect(found).toMatchObject({ code: 'corrupt-checkpoint', details: { path: INDEX, limit: 16e6 } });
    expect(seen.read).toBe(0);
  });

  it('reads the headers of six shards at once', async () => {
    let [now, most] = [0, 0];
    const header = file('{}');
    const files = Array.from({ length: 50 }, (_, i) => ({ path: `m${i}`, bytes: header.length }));
    await readTensors({ files, where: null }, async (_, start, end) => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setImmediate(resolve));
      now--;
      return header.slice(start, end);
    });
    expect(most).toBe(6);
  });
});

describe('parseIndex', () => {
  const index = (shard: unknown) => Buffer.from(JSON.stringify({ weight_map: { a: shard } }));
  it('gives the shard of each tensor', () => {
    expect(parseIndex(index('model-00001-of-00002.safetensors'), 'i')).toEqual(
      new Map([['a', 'model-00001-of-00002.safetensors']]),
    );
  });
  it.each(['../x.safetensors', '/etc/x.safetensors', 'https://h/x.safetensors', 'a/b.safetensors', 'x.bin', 3])(
    'refuses the shard %s',
    (shard) => {
      expect(failure(() => parseIndex(index(shard), 'i')).code).toBe('corrupt-checkpoint');
    },
  );
});

describe('writeSafetensors', () => {
  it('writes what parseHeader reads, small tensors first', () => {
    const dtypes = fc.constantFrom(['U8', 1], ['F32', 4], ['BF16', 2], ['I8', 1], ['F16', 2]);
    const tensor = fc.tuple(dtypes, fc.integer({ min: 0, max: 40000 }));
    fc.assert(
      fc.property(fc.array(tensor, { maxLength: 8 }), (list) => {
        const tensors = list.map(([[dtype, size], n], i) => ({
          name: `t${i}`,
          dtype: dtype as NewTensor['dtype'],
          shape: [n],
          data: new Uint8Array(n * (size as number)).fill(i),
        }));
        const bytes = joined(writeSafetensors(tensors));
        const parsed = parse(bytes);
        expect(parsed.size).toBe(tensors.length);
        for (const { name, data, shape, dtype } of tensors) {
          const { start, end, ...entry } = parsed.get(name)!;
          expect(entry).toMatchObject({ dtype, shape });
          expect(Buffer.compare(bytes.subarray(start, end), data)).toBe(0);
        }
        const sizes = [...parsed.values()].sort((a, b) => a.start - b.start).map((t) => t.end - t.start >= 65536);
        expect(sizes).toEqual([...sizes].sort());
      }),
      { numRuns: 30 },
    );
  });
});

it('ends in a NibbleError, or reads, for 2000 altered headers', async () => {
  const files = loadFolder(fixture('tiny-llama/nf4-mixed'));
  const original = files['model.safetensors'];
  const headerBytes = 8 + Number(new DataView(original.buffer, original.byteOffset).getBigUint64(0, true));
  const outcomes = { read: 0, refused: 0 };
  const bytes = fc.array(fc.tuple(fc.nat(headerBytes - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
  // half of the alterations put characters that keep a header JSON: digits, quotes, brackets
  const likely = fc.array(fc.tuple(fc.nat(headerBytes - 1), fc.constantFrom(...Buffer.from('0123459,"{}[]'))), {
    minLength: 1,
    maxLength: 3,
  });
  const digits = [...original.subarray(8, headerBytes)].flatMap((b, i) => (b >= 48 && b <= 57 ? [i + 8] : []));
  const numbers = fc.tuple(fc.constantFrom(...digits), fc.integer({ min: 48, max: 57 })).map((one) => [one]);
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(bytes, likely, numbers),
      fc.option(fc.nat(original.length), { freq: 10 }),
      async (changes, cut) => {
        const altered = original.slice(0, cut ?? original.length);
        for (const [at, byte] of changes) if (at < altered.length) altered[at] = byte;
        const changed = { ...files, 'model.safetensors': altered };
        try {
          const layout = await openFiles(changed);
          for (const name of layout.records.keys()) readValues(changed, layout, name);
          outcomes.read++;
        } catch (thrown) {
          if (!(thrown instanceof NibbleError)) throw thrown;
          expect(thrown.code).toMatch(/corrupt-checkpoint|unsupported-quantization/);
          outcomes.refused++;
        }
      },
    ),
    { numRuns: 2000 },
  );
  expect(outcomes.refused).toBeGreaterThan(1000);
  expect(outcomes.read + outcomes.refused).toBeGreaterThanOrEqual(2000);
  expect((await openFiles(files)).records.size).toBe(29); // unaltered, it reads
});
