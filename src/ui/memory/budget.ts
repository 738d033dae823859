/** The person's memory limit: where its slider stands, and how this browser remembers it. */
import { recall, remember } from '../remember';

const MIB = 2 ** 20;
const LEAST = 64 * MIB;
/** steps for twice as much */
const STEPS = 4;
/** from 64 MiB to 16 GiB; the place after the last is no limit */
export const LAST_PLACE = 8 * STEPS + 1;

/** Bytes at a place of the slider, in whole MiB; null: no limit. */
export function budgetAt(place: number): number | null {
  return place >= LAST_PLACE ? null : Math.round((LEAST * 2 ** (place / STEPS)) / MIB) * MIB;
}

/** The place that is nearest to a budget, which may come from the address bar and lie between two. */
export function placeOf(budget: number | null): number {
  if (budget === null) return LAST_PLACE;
  const place = Math.round(STEPS * Math.log2(budget / LEAST));
  return Math.min(LAST_PLACE - 1, Math.max(0, place));
}

const KEY = 'nibble-memory-budget';
/** the name in the address bar, as ui/options.ts has it */
const OPTION = 'memory-budget';

/** What was chosen on an earlier visit; null for no limit, and where nothing may be stored. */
export function rememberedBudget(): number | null {
  const bytes = Number(recall(KEY));
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : null;
}

/** For the next visit; where the address bar has a budget, it says the new one, or it would undo the choice. */
export function rememberBudget(budget: number | null): void {
  remember(KEY, budget === null ? null : String(budget));
  const url = new URL(location.href);
  if (!url.searchParams.has(OPTION)) return;
  if (budget === null) url.searchParams.delete(OPTION);
  else url.searchParams.set(OPTION, String(budget));
  history.replaceState(history.state, '', url);
}
