/** How many tokens a text has, where no model is here to count them: pure. */

/** Han, Kana and Hangul, of which a tokenizer makes about a token each. */
const DENSE = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/gu;

/** Of other scripts about four characters are a token. Off by a third either way with today's vocabularies. */
export function estimateTokens(text: string): number {
  const dense = text.match(DENSE)?.length ?? 0;
  return Math.ceil(dense + (text.length - dense) / 4);
}
