/** Tokens of a text of any length, as exactly as is worth the time. */
import { estimateTokens } from './estimate-tokens';

/** Counts tokens with the model that is here; null: none is. */
export type CountTokens = (text: string) => Promise<number | null>;

/** Of a longer text the first so many characters are counted, and the rest reckoned by them. */
const COUNTED = 200_000;

/** @returns `exact`: the model counted all of it */
export async function countAll(text: string, count: CountTokens): Promise<{ count: number; exact: boolean }> {
  const start = text.slice(0, COUNTED);
  const counted = await count(start).catch(() => null);
  if (counted === null) return { count: estimateTokens(text), exact: false };
  const exact = start.length === text.length;
  return { count: exact ? counted : Math.round((counted * text.length) / start.length), exact };
}
