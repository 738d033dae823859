/**
 * The patterns of published tokenizers, by exact text. Each is known to need no more than a few steps for a character,
 * and runs on the browser's own engine.
 */

/** GPT-2's split, which Rust's ByteLevel has built in. */
export const GPT2_SPLIT = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** Without case: a form of 's, 't, 're, 've, 'm, 'll, 'd. */
const CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
/** What the newer rules have after words and digits. */
const rest = (after: string, no = '') => `| ?[^\\s\\p{L}${no}\\p{N}]+[\\r\\n${after}]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
/** cl100k's split, Llama 3's too; Qwen's differs in how many digits stay together. */
export const words = (digits: string, letters = '\\p{L}', no = '') =>
  `${CONTRACTION}|[^\\r\\n\\p{L}\\p{N}]?${letters}+|\\p{N}${digits}${rest('', no)}`;

const [UPPER, LOWER] = ['[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]', '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]'];
/** o200k's split: a word ends before a capital. Mistral's differs in contractions and digits. */
const cased = (contraction: string, digits: string) => {
  const word = (body: string) => `[^\\r\\n\\p{L}\\p{N}]?${body}${contraction}|`;
  return `${word(`${UPPER}*${LOWER}+`)}${word(`${UPPER}+${LOWER}*`)}\\p{N}${digits}${rest('/')}`;
};
export const O200K = cased(`${CONTRACTION}?`, '{1,3}');
export const TEKKEN = cased('', '');

const PUBLISHED = new Set([
  GPT2_SPLIT,
  ...['', '+', '{1,3}'].flatMap((digits) => [`\\p{N}${digits}`, words(digits)]),
  // Qwen 3.5
  words('', '[\\p{L}\\p{M}]', '\\p{M}'),
  O200K,
  TEKKEN,
  // DeepSeek's second and third
  '[一-龥぀-ゟ゠-ヿ]+',
  '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+',
]);

/** @returns the pattern as JavaScript writes it, if it is one of these */
export function publishedSplit(regex: string): string | null {
  if (!PUBLISHED.has(regex)) return null;
  return regex
    .replaceAll(CONTRACTION, "(?:'[sSſ]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])")
    .replaceAll('\\s', '\\p{White_Space}')
    .replaceAll('\\S', '\\P{White_Space}');
}
