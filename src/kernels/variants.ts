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
import type { MatmulShape } from './matmul';
import type { MatvecShape } from './matvec';
import type { SamplerShape } from './sampling';

/** Shapes by use; `head` is the vocabulary's matvec. */
export interface KernelShapes {
  matvec: MatvecShape;
  head: MatvecShape;
  matmul: MatmulShape;
  /** query rows that a workgroup of prefill attention holds in registers */
  attendRows: number;
  sampler: SamplerShape;
}

/** By the name that the option `tune` knows them by. */
export const VARIANTS: Readonly<Record<string, KernelShapes>> = {
  software: {
    matvec: { lanes: 'even', slices: 1, tile: 8, table: 'constant' },
    head: { lanes: 64, slices: 1, tile: 8, table: 'constant' },
    matmul: { kind: 'registers', lanes: 16, tile: 8, tokens: 16, table: 'constant' },
    attendRows: 6,
    // a barrier costs a switch a thread, and each workgroup's histogram is emptied and read
    sampler: { threads: 16, groups: 8 },
  },
  /** compiles quickly and takes every path: for tests */
  small: {
    matvec: { lanes: 8, slices: 4, tile: 2, table: 'workgroup' },
    head: { lanes: 16, slices: 1, tile: 2, table: 'constant' },
    matmul: { kind: 'registers', lanes: 16, tile: 2, tokens: 3, table: 'workgroup' },
    attendRows: 4,
    sampler: { threads: 32, groups: 3 },
  },
  /** the best of those tried on an H100 (bench/h100.md) */
  gpu: {
    matvec: { lanes: 8, slices: 32, tile: 1, table: 'workgroup' },
    head: { lanes: 32, slices: 4, tile: 2, table: 'workgroup' },
    matmul: { kind: 'tiled', tokens: 2, table: 'workgroup' },
    attendRows: 4,
    // eight logits a thread of a vocabulary of 262,144, all on their way at once
    sampler: { threads: 256, groups: 128 },
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
