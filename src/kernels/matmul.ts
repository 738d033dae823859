/**
 * Many tokens' linear layer, in registers (this shader) or tiled through workgroup memory (matmul-tiled.ts). Reference:
 * execute/cpu/linear.ts, test: linear.gpu.test.ts.
 */
import source from '../../shaders/matmul.wgsl?raw';
import type { DeviceMatrix } from '../memory/layout';
import { type Description, kernel } from './kernel';
import { fusionConstants, type LinearFusion } from './linear';
import { type TiledShape, tiledBlock, tiledKernel } from './matmul-tiled';
import { type CodebookTable, MATRIX_BINDINGS, matrixConstants } from './matrix';

export const MATMUL = {
  label: 'matmul',
  source,
  bindings: { ...MATRIX_BINDINGS, x: 3, out: 4, bias: 6, state: 7 },
} satisfies Description;

/** `lanes` threads a workgroup, `tile` rows x `tokens` tokens a thread */
interface RegisterShape {
  lanes: number;
  tile: number;
  tokens: number;
}

export type MatmulShape = { table: CodebookTable } & (
  | ({ kind: 'registers' } & RegisterShape)
  | ({ kind: 'tiled' } & TiledShape)
);

/** A shape's name in info() and in tables. */
export const matmulName = (shape: MatmulShape): string =>
  shape.kind === 'tiled'
    ? `tiled, ${16 * shape.tokens} tokens`
    : `registers ${shape.lanes}x${shape.tile}x${shape.tokens}`;

export function matmulKernel(matrix: DeviceMatrix, fusion: LinearFusion, shape: MatmulShape, label: string) {
  const gated = fusion.gated !== undefined;
  const base = { ...matrixConstants(matrix, shape.table), ...fusionConstants(matrix, fusion) };
  if (shape.kind === 'tiled') return tiledKernel(base, gated, shape, label);
  const { lanes, tokens } = shape;
  const tile = tileOf(shape, gated);
  return kernel(
    MATMUL,
    { ...base, TOKENS: tokens, LANES: lanes, THREADS: lanes, TILE: tile, LANES_TILE: lanes * tile },
    label,
  );
}

/** Rows of gate (and as many of up), or rows, that a thread keeps. */
const tileOf = ({ tile }: RegisterShape, gated: boolean): number => (gated ? Math.max(1, tile / 2) : tile);

/** Workgroups of a matmul over `rows` output rows and `tokens` tokens. */
export function matmulGroups(outputRows: number, tokens: number, gated: boolean, shape: MatmulShape): [number, number] {
  const [rows, columns] =
    shape.kind === 'tiled' ? tiledBlock(gated, shape) : [shape.lanes * tileOf(shape, gated), shape.tokens];
  return [Math.ceil(outputRows / rows), Math.ceil(tokens / columns)];
}
