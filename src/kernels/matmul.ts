/**
 * Many tokens' linear layer, in registers (this shader) or tiled through workgroup memory (matmul-tiled.ts). Reference:
 * execute/cpu/linear.ts, test: linear.gpu.test.ts.
 */
import source from '../../shaders/matmul.wgsl?raw';
import type { DeviceProfile } from '../gpu/device-profile';
import type { Constants } from '../gpu/preprocess';
import type { DeviceMatrix } from '../memory/layout';
import { type Description, type Kernel, kernel } from './kernel';
import { fusionConstants, type LinearFusion } from './linear';
import { exact, type TiledShape, tiledKernel, tiledNeeds, tiledTile } from './matmul-tiled';
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

/** A shape with a kernel of its own, which only who tries it knows (matmul-matrices.ts): most devices never need it. */
export interface OwnShape {
  kind: 'own';
  name: string;
  /** rows, two times those of outputs where the layer is gated, and tokens of a workgroup */
  tile: readonly [rows: number, tokens: number];
  /** of a workgroup: threads, and bytes of its memory */
  threads: number;
  bytes: number;
  f16: boolean;
  make(constants: Constants, gated: boolean, label: string): Kernel<keyof typeof MATMUL.bindings>;
}

export type MatmulShape = { table: CodebookTable } & (
  | ({ kind: 'registers' } & RegisterShape)
  | ({ kind: 'tiled' } & TiledShape)
  | OwnShape
);

/** A shape's name in info() and in tables. */
export const matmulName = (shape: MatmulShape): string => {
  if (shape.kind === 'registers') return `registers ${shape.lanes}x${shape.tile}x${shape.tokens}`;
  if (shape.kind === 'own') return shape.name;
  const { rows, tokens, lanes, slices, step, f16, int8 } = shape;
  const tile = `tiled ${rows * lanes[0]}x${tokens * lanes[1]} by ${rows}x${tokens}, ${step} columns`;
  return [tile, slices > 1 && `${slices} slices`, f16 && 'f16', int8 && 'int8'].filter(Boolean).join(', ');
};

/** Whether a shape has products of int8, of matrices whose weights are whole numbers. */
export const isInt8 = (shape: MatmulShape): boolean => shape.kind === 'tiled' && shape.int8 === true;

/** Whether it has a matrix's products of int8, and so reads what int8-rows.ts makes. */
export const takesInt8 = ({ format }: Pick<DeviceMatrix, 'format'>, shape: MatmulShape): boolean =>
  isInt8(shape) && (format.type === 'q4' || format.type === 'q8');

export function matmulKernel(matrix: DeviceMatrix, fusion: LinearFusion, shape: MatmulShape, label: string) {
  const gated = fusion.gated !== undefined;
  const base = { ...matrixConstants(matrix, shape.table), ...fusionConstants(matrix, fusion) };
  if (shape.kind === 'tiled')
    return tiledKernel(matrix, base, gated, shape.int8 && !takesInt8(matrix, shape) ? exact(shape) : shape, label);
  if (shape.kind === 'own') return shape.make(base, gated, label);
  const { lanes, tokens } = shape;
  const tile = tileOf(shape, gated);
  return kernel(
    MATMUL,
    {
      ...base,
      SIDES: gated ? 2 : 1,
      TOKENS: tokens,
      LANES: lanes,
      THREADS: lanes,
      TILE: tile,
      LANES_TILE: lanes * tile,
    },
    label,
  );
}

/** Rows of gate (and as many of up), or rows, that a thread keeps. */
const tileOf = ({ tile }: RegisterShape, gated: boolean): number => (gated ? Math.max(1, tile / 2) : tile);

/** Rows of output and tokens that a workgroup takes. */
export function matmulBlock(gated: boolean, shape: MatmulShape): [rows: number, tokens: number] {
  if (shape.kind === 'registers') return [shape.lanes * tileOf(shape, gated), shape.tokens];
  const [rows, tokens] = shape.kind === 'tiled' ? tiledTile(shape) : shape.tile;
  return [gated ? rows / 2 : rows, tokens];
}

/** Tokens that a workgroup takes: fewer cost as much. */
export const matmulTokens = (shape: MatmulShape): number => matmulBlock(false, shape)[1];

/** Workgroups of a matmul over `rows` output rows and `tokens` tokens. */
export function matmulGroups(outputRows: number, tokens: number, gated: boolean, shape: MatmulShape): [number, number] {
  const block = matmulBlock(gated, shape);
  const [rows, columns] = [Math.ceil(outputRows / block[0]), Math.ceil(tokens / block[1])];
  // Tiles of the same rows come one after another, as their weights are more than what caches hold.
  return shape.kind === 'registers' ? [rows, columns] : [columns, rows];
}

/** Whether a device has what a shape needs: threads, workgroup memory, f16, integer dot products. */
export function matmulSuits(
  shape: MatmulShape,
  { f16, intDot, workgroup }: Pick<DeviceProfile, 'f16' | 'intDot' | 'workgroup'>,
): boolean {
  if (shape.kind === 'registers') return shape.lanes <= workgroup.threads;
  const { threads, bytes } = shape.kind === 'tiled' ? tiledNeeds(shape) : shape;
  return threads <= workgroup.threads && bytes <= workgroup.bytes && (f16 || !shape.f16) && (intDot || !isInt8(shape));
}

/** Whether it multiplies f16. */
export const isHalf = (shape: MatmulShape): boolean => shape.kind !== 'registers' && shape.f16;
