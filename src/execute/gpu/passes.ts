/** What passes of several tokens read: a chunk of a prompt, a draft, tokens of several conversations. */
import { distinctRopes, ropeBuffer, STATE } from '../../memory/gpu-scratch';
import { frequenciesFor } from '../../model/rope';
import type { ModelSpec } from '../../model/spec';
import { idsOf, packed } from '../pack';
import type { PlanBuffers } from './buffers';
import type { GpuKvCache } from './kv-cache';
import type { Bound, Op } from './op';
import type { Pass, Work } from './submitter';

/** Writes what a pass of several ids reads, the first of them at the position `first`. */
export function beginPass(
  { queue }: GPUDevice,
  buffers: PlanBuffers,
  { held }: Pick<GpuKvCache, 'held'>,
  first: number,
  ids: Uint32Array<ArrayBuffer>,
): Pass {
  const tokens = ids.length;
  const last = first + tokens - 1;
  queue.writeBuffer(buffers.get('ids'), 0, ids);
  queue.writeBuffer(buffers.get('state'), 0, Uint32Array.of(first, tokens));
  held.write(first, last);
  return { tokens, last, slots: held.slots };
}

/** The passes of a prompt, `chunk` ids at most each, whose buffers are written when it is taken. */
export function* passesOf(
  device: GPUDevice,
  buffers: PlanBuffers,
  chunk: number,
  { cache, ids, start }: { cache: Pick<GpuKvCache, 'held'>; ids: ArrayLike<number>; start: number },
) {
  for (const pieces of packed([{ ids }], chunk, 1)) {
    const [{ at, ends }] = pieces;
    yield { at, pass: beginPass(device, buffers, cache, start + at, idsOf(pieces)), ends };
  }
}

/** Writes what heads are turned with in conversations that reach so far. @param bufferOf those of the plan's names */
export function writeFrequencies(
  { queue }: GPUDevice,
  spec: ModelSpec,
  reach: number,
  bufferOf: (name: string) => GPUBuffer,
): void {
  for (const rope of distinctRopes(spec))
    queue.writeBuffer(bufferOf(ropeBuffer(spec, rope)), 0, Float32Array.from(frequenciesFor(rope, reach)));
}

/** Has the head take a row of the last pass: it takes the last of so many tokens. */
export const takeRow = ({ queue }: GPUDevice, buffers: PlanBuffers, row: number): void =>
  queue.writeBuffer(buffers.get('state'), STATE.tokens * 4, Uint32Array.of(row + 1));

/** A conversation's own dispatches of a pass that it shares with others, by how many of the shared ones are before. */
export type OwnDispatches = ReadonlyMap<number, readonly Bound[]>;

/** Binds them. @param ops all of the pass, those that are shared among them */
export async function bindOwn(
  ops: readonly Op[],
  bind: (ops: readonly Op[]) => Promise<Bound[]>,
): Promise<OwnDispatches> {
  const places = new Map<number, Op[]>();
  let shared = 0;
  for (const op of ops) {
    if (op.layer === null) shared++;
    else places.set(shared, [...(places.get(shared) ?? []), op]);
  }
  const bound = new Map<number, Bound[]>();
  for (const [place, own] of places) bound.set(place, await bind(own));
  return bound;
}

/** What was bound before of conversations' own dispatches, by their buffers and by the place that they had. */
export class BoundBefore {
  readonly #known = new WeakMap<object, Map<number, Promise<OwnDispatches>>>();

  get({ bindings }: Pick<GpuKvCache, 'bindings'>, place: number, bind: () => Promise<OwnDispatches>) {
    const places = this.#known.get(bindings) ?? new Map<number, Promise<OwnDispatches>>();
    this.#known.set(bindings, places);
    const known = places.get(place);
    if (known) return known;
    const bound = bind();
    places.set(place, bound);
    // a kernel that did not compile is asked for again
    bound.catch(() => places.delete(place));
    return bound;
  }
}

/**
 * A pass that conversations share: where they have dispatches of their own, the first of all of them before the second
 * of any, so that none waits for another.
 * @param all what the shared ones are told of the pass
 */
export function sharedPass(
  shared: readonly Bound[],
  all: Pass,
  conversations: readonly { own: OwnDispatches; pass: Pass }[],
): Work[] {
  const work: Work[] = [];
  let from = 0;
  for (const place of conversations[0].own.keys()) {
    if (place > shared.length) break;
    work.push([shared.slice(from, place), all]);
    from = place;
    const longest = Math.max(...conversations.map(({ own }) => own.get(place)!.length));
    for (let i = 0; i < longest; i++)
      for (const { own, pass } of conversations) {
        const one = own.get(place)![i];
        if (one) work.push([[one], pass]);
      }
  }
  return [...work, [shared.slice(from), all]];
}
