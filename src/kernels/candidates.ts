/**
 * The shapes that are worth trying on a device, by what they are for: the tuner (execute/gpu/tune) takes the fastest of
 * those that compute what they should. The first of each list is the profile's own choice, taken until others are
 * timed.
 */
import type { DeviceProfile } from '../gpu/device-profile';
import { type MatmulShape, matmulName, matmulSuits } from './matmul';
import { type MatvecShape, matvecName } from './matvec';
import { FEW_TOKENS, type KernelShapes, MATMULS, type MatvecRole, VARIANTS, variantFor } from './variants';

/**
 * What a shape is chosen for: a product of one token, or all products of many tokens, or of few. First what takes most
 * of the time.
 */
export const TUNED_ROLES = ['gateUp', 'mlp', 'head', 'qkv', 'attn', 'matmul', 'few'] as const;
export type TunedRole = (typeof TUNED_ROLES)[number];

/** A shape with what it is for. */
export type Candidate =
  | { role: MatvecRole | 'head'; shape: MatvecShape; name: string }
  | { role: 'matmul' | 'few'; shape: MatmulShape; name: string };

export const isMatmul = (candidate: Candidate): candidate is Extract<Candidate, { role: 'matmul' | 'few' }> =>
  candidate.role === 'matmul' || candidate.role === 'few';

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

/** Of the shapes of one token's products, those that a real GPU can run. */
function matvecs({ subgroups, workgroup }: DeviceProfile): MatvecShape[] {
  const able = MATVECS.filter(
    ({ lanes, slices, subgroups: needs }) =>
      typeof lanes === 'number' && lanes * slices <= workgroup.threads && (!needs || subgroups !== null),
  );
  return able.map((shape) => ({ ...shape, table: 'workgroup' }));
}

/**
 * By role, in the order in which they are worth trying; the last of each is small and plain, for where all others fail.
 * A software adapter has its own shapes and no others: there is nothing that compiling more of them could win.
 */
export function candidatesFor(profile: DeviceProfile): Candidate[] {
  const own = VARIANTS[variantFor(profile)];
  const { small } = VARIANTS;
  const able = (shapes: readonly MatmulShape[]) =>
    profile.software ? [] : shapes.filter((shape) => matmulSuits(shape, profile));
  const many = profile.software ? [] : matvecs(profile);
  return TUNED_ROLES.flatMap((role): Candidate[] => {
    if (role === 'few')
      return own.few
        ? named([own.few, ...able(FEW_TOKENS), small.matmul], matmulName, (one) => ({ role, ...one }))
        : [];
    if (role === 'matmul')
      return named([own.matmul, ...able(MATMULS), small.matmul], matmulName, (one) => ({ role, ...one }));
    const shapes = role === 'head' ? [own.head, small.head] : [own.by?.[role] ?? own.matvec, small.matvec];
    return named([shapes[0], ...many, shapes[1]], matvecName, (one) => ({ role, ...one }));
  });
}

/** Each once, with its name. */
const named = <S>(
  shapes: readonly S[],
  name: (shape: S) => string,
  candidate: (one: { shape: S; name: string }) => Candidate,
): Candidate[] => [...new Map(shapes.map((shape) => [name(shape), candidate({ shape, name: name(shape) })])).values()];

/** The shapes with others for what the candidates are for. */
export function withCandidates(shapes: KernelShapes, chosen: readonly Candidate[]): KernelShapes {
  const out = { ...shapes, by: { ...shapes.by } };
  for (const candidate of chosen) {
    if (isMatmul(candidate)) out[candidate.role] = candidate.shape;
    else if (candidate.role === 'head') out.head = candidate.shape;
    else out.by[candidate.role] = candidate.shape;
  }
  return out;
}
