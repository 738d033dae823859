/** How texts share passes: one behind the other, and over the end of a pass where they do not fit. Pure. */

/** How many texts a pass has, at most. */
export const TEXTS_AT_ONCE = 8;

/** Tokens of a text in a pass. */
export interface PackedPiece<T> {
  text: T;
  /** which text it is */
  index: number;
  /** the first of its ids that are in the pass, and how many are */
  at: number;
  tokens: number;
  /** of the pass, where they begin */
  row: number;
  /** whether the text ends in the pass */
  ends: boolean;
}

/**
 * @param chunk tokens of a pass, at most
 * @param most texts in a pass, at most
 */
export function* packed<T extends { ids: ArrayLike<number> }>(
  texts: readonly T[],
  chunk: number,
  most: number,
): Generator<PackedPiece<T>[]> {
  let pieces: PackedPiece<T>[] = [];
  let row = 0;
  for (const [index, text] of texts.entries()) {
    for (let at = 0; at < text.ids.length; ) {
      const tokens = Math.min(text.ids.length - at, chunk - row);
      pieces.push({ text, index, at, tokens, row, ends: at + tokens === text.ids.length });
      at += tokens;
      row += tokens;
      if (row < chunk && pieces.length < most) continue;
      yield pieces;
      [pieces, row] = [[], 0];
    }
  }
  if (pieces.length > 0) yield pieces;
}

/** The ids of a pass. */
export const idsOf = (pieces: readonly PackedPiece<{ ids: ArrayLike<number> }>[]): Uint32Array<ArrayBuffer> =>
  Uint32Array.from(
    pieces.flatMap(({ text, at, tokens }) => Array.from({ length: tokens }, (_, i) => text.ids[at + i])),
  );
