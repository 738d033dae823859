/**
 * The shapes that are worth trying on a device, by what they are for: the tuner (execute/gpu/tune) takes the fastest of
 * those that compute what they should. The first of each list is the profile's own choice, taken until others are
 * timed.
 */
import type { DeviceProfile } from '../gpu/device-profile';
import { type MatmulShape, matmulName } from './matmul';
import { type MatvecShape, matvecName } from './matvec';
import { type KernelShapes, type MatvecRole, VARIANTS, variantFor } from './variants';

/** What a shape is chosen for: a product of one token, or all products of many. First what takes most of the time. */
export const TUNED_ROLES = ['gateUp', 'mlp', 'head', 'qkv', 'attn', 'matmul'] as const;
export type TunedRole = (typeof TUNED_ROLES)[number];

/** A shape with what it is for. */
export type Candidate =
  | { role: MatvecRole | 'head'; shape: MatvecShape; name: string }
  | { role: 'matmul'; shape: MatmulShape; name: string };

/**
 * Lanes that read neighbouring rows, slices that share their columns, rows a lane. More rows a lane read the input less
 * often, more slices keep more of the GPU busy where rows are few. Measured on an H100 without subgroups
 * (bench/h100.md); those with subgroups and more rows a lane follow from counts of loads (bench/kernels.md).
 */
const MATVECS: readonly Omit<MatvecShape, 'table'>[] = [
  { lanes: 8, slices: 32, tile: 1 },
  { lanes: 4, slices: 32, tile: 1 },
  { lanes: 16, slices: 16, tile: 1 },
  { lanes: 8, slices: 16, tile: 2 },
  { lanes: 32, slices: 4, tile: 2 },
  { lanes: 8, slices: 32, tile: 1, subgroups: true },
  { lanes: 4, slices: 32, tile: 2, subgroups: true },
  { lanes: 8, slices: 16, tile: 4, subgroups: true },
  { lanes: 8, slices: 32, tile: 2, subgroups: true, staged: true },
  { lanes: 8, slices: 16, tile: 4, subgroups: true, staged: true },
  { lanes: 4, slices: 32, tile: 4, subgroups: true, staged: true },
];

/** Of the shapes of one token's products, those that a device can run; `first` goes first. */
function matvecs({ subgroups, workgroup }: DeviceProfile, first: MatvecShape): MatvecShape[] {
  const able = MATVECS.filter(
    ({ lanes, slices, subgroups: needs }) =>
      typeof lanes === 'number' && lanes * slices <= workgroup.threads && (!needs || subgroups !== null),
  ).map((shape): MatvecShape => ({ ...shape, table: 'workgroup' }));
  return [first, ...able.filter((shape) => matvecName(shape) !== matvecName(first))];
}

/** The shapes of a role that has `shapes` as the profile's choice. */
const firstOf = (shapes: KernelShapes, role: TunedRole) =>
  role === 'head' || role === 'matmul' ? shapes[role] : (shapes.by?.[role] ?? shapes.matvec);

/**
 * By role, in the order in which they are worth trying. A software adapter has its own shapes and no others: there is
 * nothing that compiling more of them could win.
 */
export function candidatesFor(profile: DeviceProfile): Candidate[] {
  const shapes = VARIANTS[variantFor(profile)];
  return TUNED_ROLES.flatMap((role): Candidate[] => {
    if (role === 'matmul') {
      const all = profile.software ? [shapes.matmul] : [shapes.matmul, ...MATMULS];
      return named(all, matmulName).map((one) => ({ role, ...one }));
    }
    const first = firstOf(shapes, role) as MatvecShape;
    return named(profile.software ? [first] : matvecs(profile, first), matvecName).map((one) => ({ role, ...one }));
  });
}

/** Other products of many tokens than the profile's choice. */
const MATMULS: readonly MatmulShape[] = [
  { kind: 'tiled', tokens: 1, table: 'workgroup' },
  { kind: 'registers', lanes: 32, tile: 2, tokens: 8, table: 'workgroup' },
];

const named = <S>(shapes: readonly S[], name: (shape: S) => string) =>
  shapes.map((shape) => ({ shape, name: name(shape) }));

/** The shapes with others for what the candidates are for. */
export function withCandidates(shapes: KernelShapes, chosen: readonly Candidate[]): KernelShapes {
  const out = { ...shapes, by: { ...shapes.by } };
  for (const { role, shape } of chosen) {
    if (role === 'matmul') out.matmul = shape;
    else if (role === 'head') out.head = shape;
    else out.by[role] = shape;
  }
  return out;
}
