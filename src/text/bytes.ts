/** GPT-2's alphabet: a character for each byte, so that every text is one of visible characters (ByteLevel). */

/** By byte: what is printable in Latin-1 is itself, the others are U+0100, U+0101 and so on. */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  const printable = (b: number) => (b > 32 && b < 127) || (b > 160 && b !== 173);
  let others = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(printable(b) ? b : others++));
})();

/** Bytes by UTF-16 unit. */
export const BYTE_OF: ReadonlyMap<number, number> = new Map(BYTE_CHARACTERS.map((c, b) => [c.charCodeAt(0), b]));

/** The text in the alphabet. */
export const inByteCharacters = (text: string): string =>
  Array.from(new TextEncoder().encode(text), (byte) => BYTE_CHARACTERS[byte]).join('');
