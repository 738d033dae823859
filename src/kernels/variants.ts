/**
 * The variants of the kernels, and which of them a device gets. Software adapters pay for memory instructions and
 * nothing else, and want big register tiles and no workgroup memory; real GPUs want many threads that share a row's
 * columns.
 *
 * To add a variant of a kernel (subgroups, f16, integer dot products): the kernel's own files have it as a shape or a
 * constant, and here a set of shapes takes it, which variantFor() chooses by the device's profile; or it is one of
 * those that the tuner tries (candidates.ts). Nothing else changes.
 */
import { NibbleError } from '../errors';
import type { DeviceProfile } from '../gpu/device-profile';
import type { StepOf } from '../model/steps';
import type { AttentionShapes } from './attention';
import type { MatmulShape } from './matmul';
import type { MatvecShape } from './matvec';
import type { SamplerShape } from './sampling';

/** The products of a layer that one token needs, by the activations that they read or write (model/steps.ts). */
export const MATVEC_ROLES = ['qkv', 'attn', 'gateUp', 'mlp'] as const;
export type MatvecRole = (typeof MATVEC_ROLES)[number];

/** Which product a step is: the head, or of a layer the one that reads attention's or the MLP's values, or its own. */
export function roleOf(step: StepOf<'linear'>): MatvecRole | 'head' {
  if (step.lastOnly) return 'head';
  const role = MATVEC_ROLES.find((name) => name === step.in || name === step.out);
  if (!role) throw new Error(`a product from ${step.in} to ${step.out} is none of a layer`);
  return role;
}

/** Shapes by use. */
export interface KernelShapes {
  matvec: MatvecShape;
  /** of single products, where they have others than `matvec` */
  by?: Readonly<Partial<Record<MatvecRole, MatvecShape>>>;
  /** the vocabulary's matvec */
  head: MatvecShape;
  matmul: MatmulShape;
  /** of passes that one workgroup's tokens are enough for, where `matmul` would compute many more; null: of none */
  few: MatmulShape | null;
  /** in the place of `matmul` where activations may be int8: withInt8() */
  int8: MatmulShape;
  attend: AttentionShapes;
  sampler: SamplerShape;
}

const tiled = (
  [rows, tokens]: readonly [number, number],
  lanes: readonly [number, number],
  more: Partial<MatmulShape & { kind: 'tiled' }> = {},
): MatmulShape => ({
  kind: 'tiled',
  rows,
  tokens,
  lanes,
  slices: 1,
  step: 8,
  f16: false,
  table: 'workgroup',
  ...more,
});

/**
 * What may suit a real GPU for many tokens, the first where nothing is known of it. Each takes what matmulSuits() says:
 * the first four fit into the 16 KiB that every device has, the others into twice as much; two need f16.
 */
export const MATMULS: readonly MatmulShape[] = [
  // 64 x 64
  tiled([8, 8], [8, 8]),
  // half as many tokens: more workgroups, for small matrices on large GPUs and for short prompts
  tiled([8, 4], [8, 8], { step: 16 }),
  // 128 x 64 by four times as many threads
  tiled([8, 4], [16, 16]),
  tiled([8, 8], [8, 8], { step: 16, f16: true }),
  tiled([8, 8], [8, 8], { step: 16 }),
  tiled([8, 8], [16, 16], { step: 16, f16: true }),
  tiled([8, 8], [16, 16], { step: 8 }),
];

/** The same for up to 8 or 16 tokens: speculation, short prompts and a prompt's last chunk. */
export const FEW_TOKENS: readonly MatmulShape[] = [
  // 32 x 16, four threads to a row and its columns
  tiled([4, 2], [8, 8], { slices: 4 }),
  tiled([4, 1], [8, 8], { slices: 4 }),
  tiled([4, 2], [8, 8], { step: 32 }),
];

/** The same with activations of int8; a step is a chunk, and a tile takes 10 KiB, or 20. */
export const INT8_MATMULS: readonly MatmulShape[] = [
  tiled([8, 8], [8, 8], { step: 32, int8: true }),
  // half as many sums a thread
  tiled([8, 4], [8, 8], { step: 32, int8: true }),
  tiled([8, 8], [16, 16], { step: 32, int8: true }),
];

/** By the name that the option `tune` knows them by. */
export const VARIANTS: Readonly<Record<string, KernelShapes>> = {
  software: {
    matvec: { lanes: 'even', slices: 1, tile: 8, table: 'constant' },
    head: { lanes: 64, slices: 1, tile: 8, table: 'constant' },
    matmul: { kind: 'registers', lanes: 16, tile: 8, tokens: 16, table: 'constant' },
    few: null,
    int8: tiled([4, 4], [8, 8], { step: 32, int8: true }),
    attend: {
      decode: { kind: 'slots', splits: 16, splitSlots: 64, whole: 64, merge: 'inside' },
      prefill: { kind: 'registers', rows: 6 },
    },
    // a barrier costs a switch a thread, and each workgroup's histogram is emptied and read
    sampler: { threads: 16, groups: 8 },
  },
  /** compiles quickly and takes every path: for tests */
  small: {
    matvec: { lanes: 8, slices: 4, tile: 2, table: 'workgroup' },
    head: { lanes: 16, slices: 1, tile: 2, table: 'constant' },
    matmul: { kind: 'registers', lanes: 16, tile: 2, tokens: 3, table: 'workgroup' },
    few: null,
    int8: tiled([2, 1], [8, 8], { step: 32, int8: true }),
    attend: {
      decode: {
        kind: 'lanes',
        threads: 32,
        lanes: 4,
        reads: 2,
        values: 16,
        subgroups: true,
        splits: 16,
        splitSlots: 16,
        whole: 32,
        merge: 'apart',
      },
      prefill: { kind: 'registers', rows: 4 },
    },
    sampler: { threads: 32, groups: 3 },
  },
  /** matvec and attention: the best of those tried on an H100 (bench/h100.md); products by count (bench/kernels.md) */
  gpu: {
    matvec: { lanes: 8, slices: 32, tile: 1, table: 'workgroup' },
    head: { lanes: 32, slices: 4, tile: 2, table: 'workgroup' },
    matmul: MATMULS[0],
    few: FEW_TOKENS[0],
    int8: INT8_MATMULS[0],
    attend: {
      decode: {
        kind: 'lanes',
        threads: 128,
        lanes: 16,
        reads: 4,
        values: 32,
        subgroups: true,
        splits: 64,
        splitSlots: 128,
        whole: 256,
        merge: 'apart',
      },
      prefill: { kind: 'tiled', threads: 128, rows: 32, slots: 32 },
    },
    // eight logits a thread of a vocabulary of 262,144, all on their way at once
    sampler: { threads: 256, groups: 128 },
  },
};

/** The shapes with activations of int8 for many tokens; what few tokens are computed with stays exact. */
export const withInt8 = (shapes: KernelShapes): KernelShapes => ({
  ...shapes,
  matmul: shapes.int8,
  few: shapes.few ?? shapes.matmul,
});

/** The shapes of a pass of a token of each of several answers: those for few tokens, however many there are. */
export const forStreams = (shapes: KernelShapes): KernelShapes => ({
  ...shapes,
  matmul: shapes.few ?? shapes.matmul,
  few: null,
});

/** @throws NibbleError invalid-option unless `tune` is auto, off or a variant's name */
export function checkTune(tune: string): void {
  const names = ['auto', 'off', ...Object.keys(VARIANTS)];
  if (names.includes(tune)) return;
  throw new NibbleError('invalid-option', `tune is ${tune}; it must be one of ${names.join(', ')}.`, {
    option: 'tune',
    value: tune,
  });
}

/** The variant for a device: the one that is named, or (auto, off) the one that suits it. */
export const variantFor = ({ software }: DeviceProfile, tune = 'auto'): string =>
  Object.hasOwn(VARIANTS, tune) ? tune : software ? 'software' : 'gpu';
