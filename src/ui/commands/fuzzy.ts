/** What a few typed letters mean among names: letters in their order, wherever they stand. */

/** Without accents, dots of Arabic vowels, or capitals. */
const plain = (text: string): string => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();

/**
 * How well a name fits what was typed: 0 for nothing typed, more for letters that begin words or follow each other,
 * null where a letter is missing. Spaces that were typed count for nothing.
 */
export function scoreOf(typed: string, name: string): number | null {
  const text = plain(name);
  const begins = [...text.matchAll(/(?<![\p{L}\p{N}])[\p{L}\p{N}]/gu)].map(({ index }) => index);
  let score = 0;
  let at = -1;
  for (const letter of plain(typed).replace(/\s+/gu, '')) {
    const next = text.indexOf(letter, at + 1);
    if (next < 0) return null;
    const word = begins.find((index) => index > at && text[index] === letter);
    if (next === at + 1) {
      score += at < 0 ? 4 : 3;
      at = next;
    } else if (word !== undefined) {
      score += 2;
      at = word;
    } else {
      at = next;
    }
  }
  return score;
}

/** Those that fit, the best first; of equal ones, in their order. */
export function fitting<T>(typed: string, all: readonly T[], nameOf: (one: T) => string): T[] {
  const scored = all.map((one) => ({ one, score: scoreOf(typed, nameOf(one)) }));
  return scored
    .filter(({ score }) => score !== null)
    .sort((a, b) => b.score! - a.score!)
    .map(({ one }) => one);
}
