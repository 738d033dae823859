/**
 * Decode attention whose threads share slots, for real GPUs: a variant of attend.ts that attention.ts chooses.
 * Reference: execute/cpu/attend.ts, test: attention.gpu.test.ts.
 */
import source from '../../shaders/attend-lanes.wgsl?raw';
import type { DeviceProfile } from '../gpu/device-profile';
import type { Constants } from '../gpu/preprocess';
import { type AttendShape, scoreConstants } from './attend';
import { elementConstants, HEAD_BINDINGS, type HeadPart, type Heads, headConstants } from './heads';
import { type Description, kernel } from './kernel';

export const ATTEND_LANES = {
  label: 'attend_lanes',
  source,
  bindings: { ...HEAD_BINDINGS, out: 6 },
} satisfies Description;

export interface LanesShape {
  /** of a workgroup at most, a power of two; halved until its memory fits the device's */
  threads: number;
  /**
   * threads that share a slot at most, a power of two: enough for 16 bytes each, and no more than the device's smallest
   * subgroup where subgroups are used
   */
  lanes: number;
  /** reads of keys (and as many of values) that a thread begins before it computes with the first: whole slots */
  reads: number;
  /** values of query heads that a thread keeps in registers at most, and as many sums, where one head has no more */
  values: number;
  /** whether scores are summed within subgroups, where the device has them */
  subgroups: boolean;
}

/** The largest power of two that is at most `n`, or at least `n`. */
const powerUnder = (n: number): number => 2 ** Math.floor(Math.log2(n));
const powerOver = (n: number): number => 2 ** Math.ceil(Math.log2(n));

/** How a workgroup is laid out for heads, and the words of its memory. */
function layout(
  spec: Heads,
  load: number,
  shape: LanesShape,
  subgroups: DeviceProfile['subgroups'],
  threads: number,
): { constants: Constants; words: number } {
  const group = spec.heads / spec.kvHeads;
  const elements = spec.headSize / load;
  const lanes = Math.min(powerUnder(Math.min(shape.lanes, subgroups?.min ?? threads, threads)), powerOver(elements));
  const units = Math.ceil(elements / lanes);
  const groups = threads / lanes;
  const heads = Math.max(1, Math.floor(shape.values / (units * load)));
  const sets = Math.min(powerOver(Math.ceil(group / heads)), groups);
  const rows = Math.ceil(group / sets);
  const slots = Math.max(1, Math.floor(shape.reads / units));
  const scores = slots * rows * groups;
  const half = load * threads;
  const pool = Math.max(group * spec.headSize, 2 * half, subgroups ? 0 : scores * lanes);
  const squares = 8 * (group + 1);
  return {
    constants: {
      THREADS: threads,
      LANES: lanes,
      LANE_STEPS: Math.log2(lanes),
      GROUPS: groups,
      UNITS: units,
      ELEMENTS: elements,
      ROWS: rows,
      SETS: sets,
      STREAMS: groups / sets,
      SLOTS: slots,
      POOL: pool,
      HALF: half,
      GROUP_ROWS: rows * groups,
      SCORES: scores,
      SQUARES: squares,
    },
    // the new key and value, and what rows and scales take, too
    words: pool + 2 * rows * groups + (subgroups ? 1 : scores) + 2 * group + squares + 2 * spec.headSize + 2,
  };
}

/** @param split constants of shaders/lib/split.wgsl */
export function attendLanesKernel(
  spec: Heads,
  shape: AttendShape,
  part: HeadPart,
  lanes: LanesShape,
  split: Constants,
  profile: Pick<DeviceProfile, 'subgroups' | 'workgroup'>,
) {
  const element = elementConstants(spec, shape.kv, true);
  const subgroups = lanes.subgroups ? profile.subgroups : null;
  const laid = (threads: number) => layout(spec, Number(element.LOAD), lanes, subgroups, threads);
  let threads = Math.min(lanes.threads, powerUnder(profile.workgroup.threads));
  while (threads > 32 && laid(threads).words * 4 > profile.workgroup.bytes) threads /= 2;
  return kernel(
    ATTEND_LANES,
    {
      ...headConstants(spec, shape, part, 'both'),
      ...scoreConstants(shape),
      ...element,
      ...split,
      ...laid(threads).constants,
      SUBGROUPS: subgroups !== null,
      GROUP: spec.heads / spec.kvHeads,
    },
    'attend_split',
  );
}
