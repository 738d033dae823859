/**
 * The variants of the kernels, and which of them a device gets. Software adapters pay for memory instructions and
 * nothing else, and want big register tiles and no workgroup memory; real GPUs want many threads that share a row's
 * columns.
 *
 * To add a variant of a kernel (subgroups, f16, integer dot products): the kernel's own files have it as a shape or a
 * constant, and here a set of shapes takes it, which variantFor() chooses by the device's profile. Nothing else
 * changes.
 */
import { NibbleError } from '../errors';
import type { DeviceProfile } from '../gpu/device-profile';
import type { AttentionShapes } from './attention';
import type { MatmulShape } from './matmul';
import type { MatvecShape } from './matvec';

/** The products of a layer that one token needs, by the activations that they read or write (model/steps.ts). */
export const MATVEC_ROLES = ['qkv', 'attn', 'gateUp', 'mlp'] as const;
export type MatvecRole = (typeof MATVEC_ROLES)[number];

/** Shapes by use. */
export interface KernelShapes {
  matvec: MatvecShape;
  /** of single products, where they have others than `matvec` */
  by?: Readonly<Partial<Record<MatvecRole, MatvecShape>>>;
  /** the vocabulary's matvec */
  head: MatvecShape;
  matmul: MatmulShape;
  attend: AttentionShapes;
}

/** By the name that the option `tune` knows them by. */
export const VARIANTS: Readonly<Record<string, KernelShapes>> = {
  software: {
    matvec: { lanes: 'even', slices: 1, tile: 8, table: 'constant' },
    head: { lanes: 64, slices: 1, tile: 8, table: 'constant' },
    matmul: { kind: 'registers', lanes: 16, tile: 8, tokens: 16, table: 'constant' },
    attend: {
      decode: { kind: 'slots', splits: 16, splitSlots: 64, whole: 64, merge: 'inside' },
      prefill: { kind: 'registers', rows: 6 },
    },
  },
  /** compiles quickly and takes every path: for tests */
  small: {
    matvec: { lanes: 8, slices: 4, tile: 2, table: 'workgroup' },
    head: { lanes: 16, slices: 1, tile: 2, table: 'constant' },
    matmul: { kind: 'registers', lanes: 16, tile: 2, tokens: 3, table: 'workgroup' },
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
  },
  /** the best of those tried on an H100 (bench/h100.md) */
  gpu: {
    matvec: { lanes: 8, slices: 32, tile: 1, table: 'workgroup' },
    head: { lanes: 32, slices: 4, tile: 2, table: 'workgroup' },
    matmul: { kind: 'tiled', tokens: 2, table: 'workgroup' },
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
  },
};

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
