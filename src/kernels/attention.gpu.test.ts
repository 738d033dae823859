/**
 * append, attend (split and whole) and merge against the CPU executor's ring and attention. It is long because the
 * three are one product, tried together in each way that a ring can lie.
 */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { attend } from '../execute/cpu/attend';
import { rmsNorm, rotateHead } from '../execute/cpu/kernels';
import { append, createRing, type KeyBias, type KvRing, type KvStore, kvStore } from '../execute/cpu/kv-ring';
import { atOnce } from '../execute/cpu/test/at-once';
import { largestDifference, randomValues } from '../execute/cpu/test/models';
import { f16Table } from '../formats/half';
import { testGpu } from '../gpu/test-device';
import { maxSplits, partialsCount } from '../memory/gpu-scratch';
import { type KvPart, type KvShape, type KvType, kvBytes, kvCopies } from '../memory/kv';
import type { Rope } from '../model/spec';
import { appendGroups, appendKernel } from './append';
import type { AttendShape } from './attend';
import {
  type DecodeAttention,
  decodeAttendGroups,
  decodeAttendKernel,
  mergeGroups,
  mostSplits,
  type PrefillAttention,
  prefillAttendGroups,
  prefillAttendKernel,
} from './attention';
import { mergeKernel } from './merge';
import { Lab, passState } from './test/lab';
import { VARIANTS } from './variants';

const lanes = { kind: 'lanes', splits: 64, splitSlots: 32, whole: 48, merge: 'apart' } as const;

/** Ways to attend with many tokens; every case takes each. */
const PREFILL: Record<string, PrefillAttention> = {
  'rows in registers': { kind: 'registers', rows: 4 },
  'as on a GPU': VARIANTS.gpu.attend.prefill,
  'in small tiles': { kind: 'tiled', threads: 96, rows: 7, slots: 8 },
};

/** Ways to attend with one token; every case takes each. */
const DECODE: Record<string, DecodeAttention> = {
  'as on software': VARIANTS.software.attend.decode,
  'as on a GPU': VARIANTS.gpu.attend.decode,
  'as on a GPU without subgroups': { ...VARIANTS.gpu.attend.decode, subgroups: false } as DecodeAttention,
  'in subgroups, heads in sets, two slots': { ...lanes, threads: 64, lanes: 4, reads: 2, values: 8, subgroups: true },
  'a lane by itself, parts of one slot': {
    ...lanes,
    threads: 32,
    lanes: 1,
    reads: 3,
    values: 64,
    subgroups: false,
    splitSlots: 1,
    whole: 0,
  },
};

const rope = (dim: number, magnitude = 1): Rope => ({
  dim,
  // As f32, which is what the kernels are given: the angle is then the same number to half an ulp.
  frequencies: Array.from({ length: dim / 2 }, (_, j) => Math.fround(10000 ** ((-2 * j) / dim))),
  long: null,
  magnitude,
});

interface Case {
  heads: number;
  kvHeads: number;
  headSize: number;
  kv: KvType;
  rope?: Rope;
  norm?: { eps: number; offset: 0 | 1 };
  window?: number;
  softcap?: number;
  /** keys have a bias of up to this */
  bias?: number;
  /** heads of each buffer; absent: all in one */
  parts?: number[];
  slots: number;
  /** passes: [first position, tokens]; every one is appended, the last one of a kind is attended */
  passes: [number, number][];
}

const CASES: [string, Case][] = [
  [
    'heads of 16, one token, then a chunk',
    {
      heads: 2,
      kvHeads: 2,
      headSize: 16,
      kv: 'f32',
      rope: rope(16),
      slots: 32,
      passes: [
        [0, 1],
        [1, 7],
        [8, 1],
      ],
    },
  ],
  [
    'heads of 20, three query heads each, no positions, soft cap, f16',
    {
      heads: 6,
      kvHeads: 2,
      headSize: 20,
      kv: 'f16',
      softcap: 2,
      slots: 96,
      passes: [
        [0, 70],
        [70, 1],
      ],
    },
  ],
  [
    'heads of 64, half of which turn, a window in a ring that has wrapped',
    {
      heads: 3,
      kvHeads: 1,
      headSize: 64,
      kv: 'f16',
      rope: rope(32, 1.2),
      window: 11,
      slots: 32,
      passes: [
        [0, 20],
        [20, 22],
        [42, 22],
        [64, 1],
      ],
    },
  ],
  [
    'heads of 128, normed with (1 + w), a window and a cap in a wrapped ring',
    {
      heads: 4,
      kvHeads: 2,
      headSize: 128,
      kv: 'f32',
      rope: rope(128),
      norm: { eps: 1e-6, offset: 1 },
      window: 70,
      softcap: 5,
      slots: 96,
      passes: [
        [0, 27],
        [27, 27],
        [54, 27],
        [81, 27],
        [108, 1],
      ],
    },
  ],
  [
    'more slots than 16 tiles of 64: splits take several tiles',
    {
      heads: 3,
      kvHeads: 1,
      headSize: 16,
      kv: 'f16',
      rope: rope(16),
      norm: { eps: 1e-5, offset: 0 },
      slots: 2112,
      passes: [
        [0, 1030],
        [1030, 1000],
        [2030, 5],
        [2035, 1],
      ],
    },
  ],
  [
    'splits that end before the last of 16, a window over a wrapped ring of many tiles',
    {
      heads: 2,
      kvHeads: 1,
      headSize: 16,
      kv: 'f32',
      rope: rope(8),
      window: 1000,
      slots: 1120,
      passes: [...Array.from({ length: 11 }, (_, i): [number, number] => [i * 121, 121]), [1331, 1]],
    },
  ],
  [
    'heads of 160: more pairs than threads',
    {
      heads: 2,
      kvHeads: 1,
      headSize: 160,
      kv: 'f16',
      rope: rope(160),
      slots: 64,
      passes: [
        [0, 9],
        [9, 1],
      ],
    },
  ],
  [
    'heads of 256',
    {
      heads: 2,
      kvHeads: 1,
      headSize: 256,
      kv: 'f16',
      rope: rope(256),
      slots: 64,
      passes: [
        [0, 9],
        [9, 1],
      ],
    },
  ],
  [
    'f16 in three buffers of two, two and one heads, a window in a ring that has wrapped',
    {
      heads: 10,
      kvHeads: 5,
      headSize: 16,
      kv: 'f16',
      rope: rope(16),
      window: 9,
      parts: [2, 2, 1],
      slots: 32,
      passes: [
        [0, 20],
        [20, 24],
        [44, 1],
      ],
    },
  ],
  [
    'int8, heads of 20, three query heads each, no positions, a soft cap, biased keys',
    {
      heads: 6,
      kvHeads: 2,
      headSize: 20,
      kv: 'int8',
      bias: 20,
      softcap: 2,
      slots: 96,
      passes: [
        [0, 70],
        [70, 1],
      ],
    },
  ],
  [
    'int8, heads of 64, half of which turn, biased keys, a window in a wrapped ring of odd length, in two buffers',
    {
      heads: 9,
      kvHeads: 3,
      headSize: 64,
      kv: 'int8',
      bias: 20,
      rope: rope(32, 1.2),
      window: 11,
      parts: [2, 1],
      slots: 33,
      passes: [
        [0, 20],
        [20, 22],
        [42, 22],
        [64, 1],
      ],
    },
  ],
  [
    'int8, heads of 128, normed, of many tiles',
    {
      heads: 2,
      kvHeads: 1,
      headSize: 128,
      kv: 'int8',
      rope: rope(128),
      norm: { eps: 1e-6, offset: 1 },
      slots: 160,
      passes: [
        [0, 130],
        [130, 1],
      ],
    },
  ],
  [
    'int8, heads of 272: more quads than threads',
    {
      heads: 1,
      kvHeads: 1,
      headSize: 272,
      kv: 'int8',
      rope: rope(272),
      slots: 37,
      passes: [
        [0, 9],
        [9, 1],
      ],
    },
  ],
  [
    'int8, heads of 4',
    {
      heads: 3,
      kvHeads: 3,
      headSize: 4,
      kv: 'int8',
      rope: rope(4),
      slots: 37,
      passes: [
        [0, 9],
        [9, 1],
      ],
    },
  ],
  [
    'far positions',
    {
      heads: 1,
      kvHeads: 1,
      headSize: 16,
      kv: 'f32',
      rope: rope(16),
      window: 40,
      slots: 64,
      passes: [
        [131000, 25],
        [131025, 25],
        [131050, 1],
      ],
    },
  ],
];

const gpu = await testGpu();
let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterEach(() => lab.dispose());

/** qkv rows with their heads normed and turned, as the CPU executor's rotate step leaves them. */
function rotated(
  run: Case,
  qkv: Float32Array,
  start: number,
  tokens: number,
  norms: { q: Float32Array; k: Float32Array },
): Float32Array {
  const out = qkv.slice();
  const { heads, kvHeads, headSize } = run;
  for (let t = 0; t < tokens; t++) {
    for (let h = 0; h < heads + kvHeads; h++) {
      const at = (t * (heads + 2 * kvHeads) + h) * headSize;
      if (run.norm) rmsNorm(out, out, at, h < heads ? norms.q : norms.k, headSize, run.norm.eps, run.norm.offset);
      if (run.rope) rotateHead(out, at, start + t, run.rope, run.rope.frequencies);
    }
  }
  return out;
}

/** The ring that buffers of these bytes hold. */
function ringOf(
  { kv, kvHeads, headSize }: Case,
  { slots, parts }: KvShape,
  keys: ArrayBuffer[],
  values: ArrayBuffer[],
) {
  const whole = { firstHead: 0, heads: kvHeads, bytes: kvBytes(kv, headSize, kvHeads, slots) };
  const store = (buffers: ArrayBuffer[]): KvStore => {
    const bytes = new Uint8Array(whole.bytes);
    for (const copy of kvCopies(kv, headSize, { slots, parts }, { slots, parts: [whole] }, [
      { from: 0, to: 0, count: slots },
    ]))
      bytes.set(new Uint8Array(buffers[copy.fromPart], copy.from, copy.bytes), copy.to);
    return kvStore(kv, slots, { kvHeads, headSize }, bytes.buffer);
  };
  return { type: kv, slots, kvHeads, headSize, keys: store(keys), values: store(values) };
}

/** As near as the last bit of what was written allows. */
function expectSameStore(got: KvStore, right: KvStore, kv: KvType, tolerance: number): void {
  if (kv === 'f16') {
    const table = f16Table();
    const values = (store: KvStore) => Float32Array.from(store.values, (h) => table[h]);
    expect(largestDifference(values(got), values(right))).toBeLessThan(2 * tolerance);
    return;
  }
  const off = largestDifference(got.values, right.values);
  if (kv === 'f32') expect(off).toBeLessThan(2 * tolerance);
  else {
    // A value halfway between two codes may become either.
    expect(off).toBeLessThanOrEqual(1);
    const differ = right.values.filter((code, i) => code !== got.values[i]).length;
    expect(differ).toBeLessThan(0.01 * right.values.length);
    expect(largestDifference(got.scales, right.scales)).toBeLessThan(tolerance);
  }
}

describe.each(CASES)('%s', (_, run) => {
  it('as the CPU computes it', async () => {
    const { heads, kvHeads, headSize, kv, slots } = run;
    const width = (heads + 2 * kvHeads) * headSize;
    const shape: AttendShape = {
      rope: run.rope ?? null,
      norm: run.norm ?? null,
      kv,
      keyBias: run.bias !== undefined,
      scale: 0.7 / Math.sqrt(headSize),
      softcap: run.softcap ?? null,
      window: run.window ?? null,
    };
    const norms = { q: randomValues(headSize, 3), k: randomValues(headSize, 4) };
    const biases = new Float32Array(width);
    const keysAt = heads * headSize;
    biases.set(
      randomValues(kvHeads * headSize, 5).map((v) => (run.bias ?? 0) * v),
      keysAt,
    );
    const keyBias: KeyBias | null = run.bias
      ? {
          values: biases.subarray(keysAt, keysAt + kvHeads * headSize),
          rope: shape.rope,
          frequencies: run.rope?.frequencies ?? [],
        }
      : null;
    const cpu = createRing(kv, slots, run);
    const parts: KvPart[] = [];
    for (const count of run.parts ?? [kvHeads]) {
      const firstHead = parts.reduce((sum, part) => sum + part.heads, 0);
      parts.push({ firstHead, heads: count, bytes: kvBytes(kv, headSize, count, slots) });
    }
    const keys = parts.map(({ bytes }) => lab.buffer(bytes));
    const values = parts.map(({ bytes }) => lab.buffer(bytes));
    const frequencies = run.rope && lab.buffer(Float32Array.from(run.rope.frequencies));
    const norm = (name: 'q' | 'k') => (run.norm ? { [`${name}_norm`]: lab.buffer(norms[name]) } : {});
    const scratch = new Float64Array(1100 * (heads / kvHeads) * (headSize + 2) + 3 * headSize);
    const attended = new Set<string>();
    // Angles are f32 on the GPU: at position p they are off by half an ulp of p, at most.
    const far = run.rope ? Math.max(...run.passes.map(([start, tokens]) => start + tokens)) * 2 ** -25 : 0;
    const tolerance = ((kv === 'f16' ? 2e-3 : 3e-5) + far) * Math.max(1, run.bias ?? 0);

    for (const [n, [start, tokens]] of run.passes.entries()) {
      const qkv = randomValues(tokens * width, 100 + n).map((v, i) => 2 * v + biases[i % width]);
      const turned = rotated(run, qkv, start, tokens, norms);
      for (let t = 0; t < tokens; t++) append(cpu, start + t, turned, t * width + keysAt, keyBias, scratch);

      const last = start + tokens - 1;
      const common = {
        qkv: lab.buffer(qkv),
        state: lab.buffer(passState(start, tokens)),
        ...(frequencies ? { frequencies } : {}),
        ...(run.bias ? { bias: lab.buffer(biases) } : {}),
      };
      const ring = (part: number) => ({ keys: keys[part], values: values[part] });
      const split = tokens === 1;
      const bytes = (buffers: GPUBuffer[]) => Promise.all(buffers.map((buffer) => lab.bytes(buffer)));
      const before = await bytes([...keys, ...values]);
      const its = { ...run, scale: shape.scale, softcap: shape.softcap, window: shape.window };
      const computed = (of: KvRing): Float32Array => {
        const result = new Float32Array(tokens * heads * headSize);
        atOnce(attend(its, of, turned, start, tokens, result, scratch, keyBias));
        return result;
      };
      // Of int8 the GPU's own ring, so that a code that became another is no difference here.
      const wanted = computed(cpu);
      for (const [way, attention] of Object.entries(split ? DECODE : PREFILL)) {
        [...keys, ...values].forEach((buffer, i) => {
          lab.device.queue.writeBuffer(buffer, 0, before[i]);
        });
        const target = lab.buffer(split ? (partialsCount(run, maxSplits(run)) + 4) * 4 : tokens * heads * headSize * 4);
        for (const [i, part] of parts.entries()) {
          if ('splits' in attention) {
            const kernel = decodeAttendKernel(run, shape, part, attention, gpu.profile);
            const groups = decodeAttendGroups(run, part, attention, 0)(1, last, [slots]);
            await lab.run(kernel, { ...common, ...ring(i), ...norm('q'), ...norm('k'), out: target }, groups);
          } else {
            const appended = appendKernel(run, shape, part);
            await lab.run(appended, { ...common, ...ring(i), ...norm('k') }, appendGroups(part, tokens));
            const kernel = prefillAttendKernel(run, shape, part, attention, gpu.profile);
            const groups = prefillAttendGroups(run, shape, part, attention, gpu.profile)(tokens);
            await lab.run(kernel, { ...common, ...ring(i), ...norm('q'), out: target }, groups);
          }
        }
        if ('splits' in attention) {
          const groups = mergeGroups(run, attention, 0)(1, last, [slots]);
          const bound = { x: target, state: common.state };
          if (groups[0] > 0) await lab.run(mergeKernel(run, mostSplits(run, attention)), bound, groups);
        }
        const made: KvRing = ringOf(run, { slots, parts }, await bytes(keys), await bytes(values));
        expectSameStore(made.keys, cpu.keys, kv, tolerance);
        expectSameStore(made.values, cpu.values, kv, tolerance);

        const right = kv === 'int8' ? computed(made) : wanted;
        const got = (await lab.floats(target)).subarray(0, right.length);
        expect(largestDifference(got, right), `${way}, ${tokens} tokens from ${start} on`).toBeLessThan(tolerance);
      }
      attended.add(split ? 'split' : 'whole');
    }
    expect(attended.size).toBe(2);
  });
});
