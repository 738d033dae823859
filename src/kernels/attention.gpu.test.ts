/** append, attend (split and whole) and merge against the CPU executor's ring and attention. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { attend } from '../execute/cpu/attend';
import { rmsNorm, rotateHead } from '../execute/cpu/kernels';
import { append, createRing, type KvRing, load } from '../execute/cpu/kv-ring';
import { largestDifference, randomValues } from '../execute/cpu/test/models';
import { type KvType, kvRowBytes, MAX_SPLITS } from '../memory/plan';
import type { Rope } from '../model/spec';
import {
  type AttendShape,
  appendGroups,
  appendKernel,
  attendGroupsOf,
  attendKernel,
  mergeGroups,
  mergeKernel,
} from './attention';
import { Lab, passState } from './test/lab';

const ROWS = 4;

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

function ringValues(ring: KvRing, store: KvRing['keys']): Float64Array {
  const out = new Float64Array(store.length);
  load(ring, store, 0, store.length, out);
  return out;
}

describe.each(CASES)('%s', (_, run) => {
  it('as the CPU computes it', async () => {
    const { heads, kvHeads, headSize, kv, slots } = run;
    const width = (heads + 2 * kvHeads) * headSize;
    const shape: AttendShape = {
      rope: run.rope ?? null,
      norm: run.norm ?? null,
      kv,
      scale: 0.7 / Math.sqrt(headSize),
      softcap: run.softcap ?? null,
      window: run.window ?? null,
    };
    const norms = { q: randomValues(headSize, 3), k: randomValues(headSize, 4) };
    const cpu = createRing(kv, slots, kvHeads * headSize);
    const row = kvRowBytes(run, kv);
    const keys = lab.buffer(slots * row);
    const values = lab.buffer(slots * row);
    const frequencies = run.rope && lab.buffer(Float32Array.from(run.rope.frequencies));
    const norm = (name: 'q' | 'k'): Record<number, GPUBuffer> => (run.norm ? { 5: lab.buffer(norms[name]) } : {});
    const scratch = new Float64Array(1100 * (heads / kvHeads) * (headSize + 2) + 2 * headSize);
    const attended = new Set<string>();
    // Angles are f32 on the GPU: at position p they are off by half an ulp of p, at most.
    const far = run.rope ? Math.max(...run.passes.map(([start, tokens]) => start + tokens)) * 2 ** -25 : 0;
    const tolerance = (kv === 'f16' ? 2e-3 : 3e-5) + far;

    for (const [n, [start, tokens]] of run.passes.entries()) {
      const qkv = randomValues(tokens * width, 100 + n).map((v) => 2 * v);
      const turned = rotated(run, qkv, start, tokens, norms);
      for (let t = 0; t < tokens; t++) append(cpu, start + t, turned, t * width + heads * headSize);
      const right = new Float32Array(tokens * heads * headSize);
      attend(
        { ...run, scale: shape.scale, softcap: shape.softcap, window: shape.window },
        cpu,
        turned,
        start,
        tokens,
        right,
        scratch,
      );

      const last = start + tokens - 1;
      const common = {
        0: lab.buffer(qkv),
        1: keys,
        2: values,
        3: lab.buffer(passState(start, tokens)),
        ...(frequencies ? { 4: frequencies } : {}),
      };
      await lab.run(appendKernel(run, shape), { ...common, ...norm('k') }, [appendGroups(run, tokens)]);

      const split = tokens === 1;
      const out = lab.buffer(tokens * heads * headSize * 4);
      const target = split
        ? lab.buffer(16 + MAX_SPLITS * (Math.ceil((heads * headSize) / 32) * 32 + Math.ceil((2 * heads) / 4) * 4) * 4)
        : out;
      const groups = attendGroupsOf(run, split, ROWS, 0)(tokens, last, [slots]);
      await lab.run(attendKernel(run, shape, split, ROWS), { ...common, ...norm('q'), 6: target }, groups);
      if (split) await lab.run(mergeKernel(run), { 0: target, 1: out }, [mergeGroups(run)]);
      expect(largestDifference(await lab.floats(out), right)).toBeLessThan(tolerance);
      attended.add(split ? 'split' : 'whole');
    }
    expect(attended.size).toBe(2);

    for (const [buffer, store] of [
      [keys, cpu.keys],
      [values, cpu.values],
    ] as const) {
      const bytes = await lab.bytes(buffer);
      const got = { ...cpu, keys: kv === 'f16' ? new Uint16Array(bytes) : new Float32Array(bytes) };
      expect(largestDifference(ringValues(got, got.keys), ringValues(cpu, store))).toBeLessThan(2 * tolerance);
    }
  });
});
