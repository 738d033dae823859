import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import { type NewTensor, parseHeader, parseIndex, readHeader, writeSafetensors } from './safetensors';
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
