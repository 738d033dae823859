/**
 * Many tokens' linear layer by subgroup matrices, where the device has them (gpu/subgroup-matrices.ts): a variant of
 * matmul.ts, which chooses it. Reference and test as there; no adapter of the tests has them, so that they run it in an
 * emulation (test/emulated-matrices.ts), and have Dawn's null backend say that it is valid.
 */
import source from '../../shaders/matmul-matrices.wgsl?raw';
import type { DeviceProfile } from '../gpu/device-profile';
import type { Constants } from '../gpu/preprocess';
import type { SubgroupMatrices } from '../gpu/subgroup-matrices';
import { CHUNK_COLUMNS } from '../memory/layout';
import { type Description, kernel } from './kernel';
import type { MatmulShape } from './matmul';
import { type TiledShape, tileRows } from './matmul-tiled';
import { MATRIX_BINDINGS } from './matrix';

export const MATMUL_MATRICES = {
  label: 'matmul_matrices',
  source,
  bindings: { ...MATRIX_BINDINGS, x: 3, out: 4, bias: 6, state: 7 },
} satisfies Description;

/** A tile of `grid` blocks, one a subgroup. The device's matrices divide a block's tokens, and half of its rows. */
export interface MatricesShape {
  /** rows and tokens of a tile */
  tile: readonly [rows: number, tokens: number];
  /** subgroups along the tile's rows, and along its tokens */
  grid: readonly [rows: number, tokens: number];
  /** columns between two barriers: a multiple of `k` */
  step: TiledShape['step'];
  /** those that the device has */
  of: SubgroupMatrices;
  /** the kernel asks for subgroups of `of.smaller` threads */
  smaller: boolean;
}

/** What follows of a shape. */
function sizesOf({ tile, grid, step, of, smaller }: MatricesShape) {
  const { m, n, k, f16, lanes } = of;
  const bytes = f16 ? 2 : 4;
  const blocks = grid[0] * grid[1];
  // 16 bytes are the alignment of a row that Vulkan asks for, at most
  const stride = step + 16 / bytes;
  const elements = 2 * (tile[0] + tile[1]) * stride;
  return {
    rows: tile[0] / grid[0] / 2 / m,
    tokens: tile[1] / grid[1] / n,
    steps: step / k,
    blocks,
    stride,
    elements,
    size: smaller && of.smaller ? of.smaller : lanes,
    bytes: elements * bytes + 2 * blocks * m * n * 4,
  };
}

/** The shape as matmul.ts has it: "subgroup matrices 64x64 of 16x16x16, 32 columns, f16". */
export function matricesShape(given: MatricesShape): MatmulShape {
  const { tile, step, of, smaller } = given;
  const { m, n, k, f16 } = of;
  const { blocks, size, bytes } = sizesOf(given);
  const parts = [
    `subgroup matrices ${tile.join('x')} of ${m}x${n}x${k}, ${step} columns`,
    f16 && 'f16',
    smaller && `subgroups of ${size}`,
  ];
  return {
    kind: 'own',
    name: parts.filter(Boolean).join(', '),
    table: 'workgroup',
    tile,
    threads: blocks * size,
    // and a codebook
    bytes: bytes + 64,
    f16,
    make: (constants, gated, label) => matricesKernel(constants, gated, given, label),
  };
}

function matricesKernel(constants: Constants, gated: boolean, shape: MatricesShape, label: string) {
  const { tile, grid, step, of, smaller } = shape;
  const { rows, tokens, steps, blocks, stride, elements, size } = sizesOf(shape);
  const threads = blocks * size;
  const [octets, vectors] = [step / 8, step / 4];
  const partLanes = Math.max(1, threads / tile[0]);
  return kernel(
    MATMUL_MATRICES,
    {
      ...constants,
      ...tileRows(gated, tile[0], threads),
      TILE_TOKENS: tile[1],
      THREADS: threads,
      F16: of.f16,
      M: of.m,
      N: of.n,
      K: of.k,
      STEP_MATRICES: steps,
      BLOCKS: blocks,
      GRID_ROWS: grid[0],
      MATRIX_ROWS: rows,
      MATRIX_TOKENS: tokens,
      STRIDE: stride,
      ELEMENTS: elements,
      INPUTS_AT: 2 * tile[0] * stride,
      STEPS: CHUNK_COLUMNS / step,
      VECTORS: vectors,
      OCTETS: octets,
      PART_LANES: partLanes,
      PARTS: Math.ceil(octets / partLanes),
      X_LOADS: Math.ceil((tile[1] * vectors) / threads),
      SIZED: smaller,
      SUBGROUP_SIZE: size,
    },
    label,
  );
}

type Use = Pick<MatricesShape, 'tile' | 'grid'> & {
  /** columns of a step, of f16 and of f32: two of each tile are in workgroup memory */
  steps: readonly [f16: TiledShape['step'], f32: TiledShape['step']];
};

/** What may suit a device with subgroup matrices, for many tokens, and for up to 16; within 32 KiB but where noted. */
const USES: Record<'matmul' | 'few', readonly Use[]> = {
  matmul: [
    { tile: [64, 64], grid: [2, 2], steps: [32, 16] },
    // in f16 of 16 x 16 47 KiB, which NVIDIA has
    { tile: [128, 64], grid: [4, 2], steps: [32, 8] },
    // in f16 of 16 x 16 40 KiB
    { tile: [128, 128], grid: [4, 2], steps: [16, 8] },
  ],
  few: [{ tile: [128, 16], grid: [4, 1], steps: [32, 8] }],
};

/** The shapes of a role that a device's matrices fit into. */
export function matricesShapes(
  { matrices: of }: Pick<DeviceProfile, 'matrices'>,
  role: 'matmul' | 'few',
): MatmulShape[] {
  if (!of) return [];
  return USES[role].flatMap(({ tile, grid, steps }) => {
    // a step has whole matrices
    const step = Math.max(steps[of.f16 ? 0 : 1], of.k) as TiledShape['step'];
    const shape = { tile, grid, step, of, smaller: false };
    const { rows, tokens } = sizesOf(shape);
    if (!Number.isInteger(rows) || !Number.isInteger(tokens)) return [];
    return [shape, ...(of.smaller ? [{ ...shape, smaller: true }] : [])].map(matricesShape);
  });
}
