/** Many tokens' linear layer through workgroup memory, for real GPUs: a variant of matmul.ts, which chooses it. */
import source from '../../shaders/matmul-tiled.wgsl?raw';
import type { Constants } from '../gpu/preprocess';
import { type Description, kernel } from './kernel';
import { MATRIX_BINDINGS } from './matrix';

export const MATMUL_TILED = {
  label: 'matmul_tiled',
  source,
  bindings: { ...MATRIX_BINDINGS, x: 3, out: 4, bias: 6, state: 7 },
} satisfies Description;

/** 64 rows (32 of gate and 32 of up) x 16 * `tokens` tokens a workgroup of 256 */
export interface TiledShape {
  tokens: number;
}

export const tiledKernel = (constants: Constants, gated: boolean, { tokens }: TiledShape, label: string) =>
  kernel(
    MATMUL_TILED,
    { ...constants, TOKENS: tokens, TILE_ROWS: gated ? 32 : 64, INPUT_WORDS: 16 * tokens * 9, THREADS: 256 },
    label,
  );

/** Rows and tokens of a workgroup. */
export const tiledBlock = (gated: boolean, { tokens }: TiledShape): [number, number] => [gated ? 32 : 64, 16 * tokens];
