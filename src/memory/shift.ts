/** Which positions of a conversation's rings go and which move as its middle is dropped. Pure. */
import type { Rings } from './rings';

/**
 * Positions keep..keep+drop-1 go, those from there to `end` move to the front by `drop`, and what lies beyond goes,
 * too.
 */
export interface Shift {
  keep: number;
  drop: number;
  end: number;
}

/** Positions from..to-1; none where `to` is not above `from`. */
export interface Span {
  from: number;
  to: number;
}

/** What of a layer's ring survives a shift: positions that stay and positions that move. */
export function survivors({ oldest }: Rings, layer: number, { keep, drop, end }: Shift): { stay: Span; move: Span } {
  return {
    stay: { from: oldest[layer], to: keep },
    move: { from: Math.max(oldest[layer], keep + drop), to: end },
  };
}

/** The oldest position that a layer holds without a gap after a shift, in the new count. */
function oldestAfter({ oldest }: Rings, layer: number, { keep, drop }: Shift): number {
  return oldest[layer] <= keep ? oldest[layer] : Math.max(keep, oldest[layer] - drop);
}

/**
 * Whether after the shift every layer holds all that tokens from `end - drop` on must see. A sliding ring that has
 * wrapped has lost the front: what moves must then be as long as its window.
 */
export function canShift(rings: Rings, shift: Shift): boolean {
  const { keep, drop, end } = shift;
  return (
    keep + drop <= end &&
    end <= rings.last + 1 &&
    rings.slots.every((_, layer) => oldestAfter(rings, layer, shift) <= rings.firstSeen(layer, end - drop))
  );
}

/** Notes that the values have been moved: see survivors(). */
export function noteShift(rings: Rings, shift: Shift): void {
  rings.adopt({
    last: shift.end - shift.drop - 1,
    oldest: rings.slots.map((_, layer) => oldestAfter(rings, layer, shift)),
  });
}
