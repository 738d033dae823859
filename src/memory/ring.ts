/**
 * Index arithmetic of the ring KV cache, pure. A layer's cache has C slots; position p lives in slot p mod C, and what
 * a slot holds follows from the newest position written, never from the slot number. A chunk is written before it
 * attends: its first query still sees W - 1 positions before it, and its last key is chunk - 1 after it, so that a ring
 * is exact if and only if C >= W + chunk - 1.
 */

export const slotOf = (position: number, capacity: number): number => position % capacity;

/** The position held in `slot` when `last` is the newest position written; negative: the slot is empty. */
export function positionIn(slot: number, last: number, capacity: number): number {
  const back = (last - slot) % capacity;
  return last - (back < 0 ? back + capacity : back);
}

/** `count` consecutive slots from `from` of the old ring to `to` of the new one. */
export interface CopySegment {
  from: number;
  to: number;
  count: number;
}

/**
 * The copies that move what a ring of `oldCapacity` holds (newest position `last`, -1 when empty) into a ring of
 * `newCapacity`, each position to its own slot; at most three runs, as neither end of a run wraps.
 * A smaller new ring keeps the newest positions.
 */
export function copySegments(oldCapacity: number, last: number, newCapacity: number): CopySegment[] {
  const first = Math.max(0, last + 1 - Math.min(oldCapacity, newCapacity));
  return moveSegments(first, last + 1, 0, oldCapacity, newCapacity);
}

/**
 * The copies that move positions first..end-1 of the old ring to slots of the new one, each `back` positions earlier.
 */
export function moveSegments(
  first: number,
  end: number,
  back: number,
  oldCapacity: number,
  newCapacity: number,
): CopySegment[] {
  const segments: CopySegment[] = [];
  let position = first;
  while (position < end) {
    const from = slotOf(position, oldCapacity);
    const to = slotOf(position - back, newCapacity);
    const count = Math.min(end - position, oldCapacity - from, newCapacity - to);
    segments.push({ from, to, count });
    position += count;
  }
  return segments;
}
