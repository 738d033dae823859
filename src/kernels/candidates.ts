/**
 * The shapes that are worth trying on a device, by what they are for: the tuner (execute/gpu/tune) takes the fastest of
 * those that compute what they should. The first of each list is the profile's own choice, taken until others are
 * timed.
 */
import type { DeviceProfile } from '../gpu/device-profile';
import type { ModelSpec } from '../model/spec';
import type { EngineOptions } from '../protocol';
import { type DecodeAttention, decodeName, type PrefillAttention, prefillName } from './attention';
import { type MatmulShape, matmulName, matmulSuits } from './matmul';
import { matricesShapes } from './matmul-matrices';
import { type MatvecShape, matvecName } from './matvec';
import {
  FEW_TOKENS,
  INT8_MATMULS,
  type KernelShapes,
  MATMULS,
  type MatvecRole,
  VARIANTS,
  variantFor,
} from './variants';

/** Products that a shape is chosen for: of one token, of many tokens, of few. First what takes most of the time. */
export const PRODUCT_ROLES = ['gateUp', 'mlp', 'head', 'qkv', 'attn', 'matmul', 'few'] as const;
/** All that a shape is chosen for; attention is checked and not timed: it needs rings, which a load has not got. */
export const TUNED_ROLES = [...PRODUCT_ROLES, 'decodeAttention', 'prefillAttention'] as const;
export type TunedRole = (typeof TUNED_ROLES)[number];

/** A shape with what it is for. */
export type ProductCandidate =
  | { role: MatvecRole | 'head'; shape: MatvecShape; name: string }
  | { role: 'matmul' | 'few'; shape: MatmulShape; name: string };
export type Candidate =
  | ProductCandidate
  | { role: 'decodeAttention'; shape: DecodeAttention; name: string }
  | { role: 'prefillAttention'; shape: PrefillAttention; name: string };

export const isProduct = (candidate: Candidate): candidate is ProductCandidate =>
  candidate.role !== 'decodeAttention' && candidate.role !== 'prefillAttention';

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

/** How inputs of products may be held: load()'s option. */
export type Activations = NonNullable<EngineOptions['activations']>;

/**
 * By role, in the order in which they are worth trying; the last of each is small and plain, for where all others fail.
 * A software adapter has its own shapes and no others: there is nothing that compiling more of them could win.
 * @param of what they are for: activations of int8 add products of it, and have them come first, and f32 leaves out
 * those of f16; a model without a head has none of those
 */
export function candidatesFor(
  profile: DeviceProfile,
  { activations = 'auto', headless }: { activations?: Activations; headless?: ModelSpec['headless'] } = {},
): Candidate[] {
  const own = VARIANTS[variantFor(profile)];
  const { small } = VARIANTS;
  const able = (shapes: readonly MatmulShape[]) =>
    profile.software
      ? []
      : shapes.filter((shape) => matmulSuits(shape, { ...profile, f16: profile.f16 && activations !== 'f32' }));
  const int8 = activations === 'int8' ? able([own.int8, ...INT8_MATMULS]) : [];
  const many = profile.software ? [] : matvecs(profile);
  const { decode, prefill } = own.attend;
  return TUNED_ROLES.flatMap((role): Candidate[] => {
    if (headless && role === 'head') return [];
    switch (role) {
      case 'few':
        return own.few
          ? named(
              [own.few, ...able(FEW_TOKENS), ...able(matricesShapes(profile, role)), small.matmul],
              matmulName,
              (one) => ({
                role,
                ...one,
              }),
            )
          : [];
      case 'matmul':
        return named(
          [...int8, own.matmul, ...able(MATMULS), ...able(matricesShapes(profile, role)), small.matmul],
          matmulName,
          (one) => ({ role, ...one }),
        );
      case 'decodeAttention': {
        const lanes = decode.kind === 'lanes' ? [{ ...decode, subgroups: false }] : [];
        const first = profile.subgroups || decode.kind !== 'lanes' ? [decode] : [];
        return named([...first, ...lanes, PLAIN_DECODE], decodeName, (one) => ({ role, ...one }));
      }
      case 'prefillAttention':
        return named([prefill, small.attend.prefill], prefillName, (one) => ({ role, ...one }));
      default: {
        const [first, last] = role === 'head' ? [own.head, small.head] : [own.by?.[role] ?? own.matvec, small.matvec];
        return named([first, ...many, last], matvecName, (one) => ({ role, ...one }));
      }
    }
  });
}

/** Decode attention that needs nothing of a device. */
const PLAIN_DECODE: DecodeAttention = { kind: 'slots', splits: 16, splitSlots: 64, whole: 64, merge: 'inside' };

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
    if (candidate.role === 'decodeAttention') out.attend = { ...out.attend, decode: candidate.shape };
    else if (candidate.role === 'prefillAttention') out.attend = { ...out.attend, prefill: candidate.shape };
    else if (isMatmul(candidate)) out[candidate.role] = candidate.shape;
    else if (candidate.role === 'head') out.head = candidate.shape;
    else out.by[candidate.role] = candidate.shape;
  }
  return out;
}
