/**
 * Prefill attention with keys and values in workgroup memory, for real GPUs: a variant of attend.ts that attention.ts
 * chooses. Reference: execute/cpu/attend.ts, test: attention.gpu.test.ts.
 */
import source from '../../shaders/attend-tiled.wgsl?raw';
import type { DeviceProfile } from '../gpu/device-profile';
import { roundUp } from '../memory/layout';
import { type AttendShape, scoreConstants } from './attend';
import { elementConstants, HEAD_BINDINGS, type HeadPart, type Heads, headConstants } from './heads';
import { type Description, kernel } from './kernel';

export const ATTEND_TILED = {
  label: 'attend_tiled',
  source,
  bindings: { ...HEAD_BINDINGS, out: 6 },
} satisfies Description;

export interface TiledAttention {
  /** of a workgroup */
  threads: number;
  /** query rows (tokens x query heads of a KV head) of a workgroup at most: as many tokens as fit its memory, too */
  rows: number;
  /** slots of a tile at most, a power of two; halved down to 16 where more query rows fit so */
  slots: number;
}

/** A workgroup's query rows and slots; null where the device's memory has no room for one token's. */
export function tiledLayout(
  spec: Heads,
  { kv }: Pick<AttendShape, 'kv'>,
  shape: TiledAttention,
  profile: Pick<DeviceProfile, 'workgroup'>,
): { threads: number; queries: number; rows: number; slots: number } | null {
  const group = spec.heads / spec.kvHeads;
  const threads = Math.min(shape.threads, profile.workgroup.threads);
  const stride = spec.headSize / 4 + 1;
  const bytes = (rows: number, slots: number) =>
    rows * stride * 16 + slots * stride * (kv === 'f16' ? 8 : 16) + (slots * rows + threads + rows) * 4;
  if (spec.headSize / 4 > threads) return null;
  for (let queries = Math.max(1, Math.floor(shape.rows / group)); queries > 0; queries--) {
    const rows = roundUp(queries * group, 4);
    for (let { slots } = shape; slots >= Math.min(16, shape.slots); slots /= 2) {
      if (rows <= threads && bytes(rows, slots) <= profile.workgroup.bytes) return { threads, queries, rows, slots };
    }
  }
  return null;
}

export function attendTiledKernel(
  spec: Heads,
  shape: AttendShape,
  part: HeadPart,
  { threads, queries, rows, slots }: NonNullable<ReturnType<typeof tiledLayout>>,
) {
  const element = elementConstants(spec, shape.kv, false);
  const quads = spec.headSize / 4;
  const outGroups = Math.min(rows, Math.floor(threads / quads));
  const shares = Math.floor(threads / rows);
  return kernel(
    ATTEND_TILED,
    {
      ...headConstants(spec, shape, part, 'queries'),
      ...scoreConstants(shape),
      ...element,
      THREADS: threads,
      ROWS: rows,
      QUERIES: queries,
      GROUP: spec.heads / spec.kvHeads,
      SLOTS: slots,
      SHARES: shares,
      QUADS: quads,
      STRIDE: quads + 1,
      QUERY_QUADS: rows * (quads + 1),
      TILE_QUADS: slots * (quads + 1),
      SCORES: slots * rows,
      MAXIMA: shares * rows,
      ELEMENTS: spec.headSize / Number(element.LOAD),
      SCORE_TILES: (rows * slots) / 8,
      ROW_TILES: rows / 4,
      OUT_GROUPS: outGroups,
      OUT_ROWS: Math.ceil(rows / outGroups),
      OUT_STRIDE: spec.heads * spec.headSize,
      PACKED: shape.kv === 'f16',
    },
    'attend',
  );
}
