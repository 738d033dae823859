/** Bytes as text, where they are one: UTF-8, or UTF-16 with or without its mark. Pure. */

/** Of so many characters at least one in a hundred is a control character in what is no text. */
const LOOKED_AT = 4096;

/** Control characters that texts have none of: all but tab, line feed, form feed, carriage return and escape. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what is looked for
const CONTROL = /[\0-\x08\x0b\x0e-\x1a\x1c-\x1f]/g;

function isText(text: string): boolean {
  const start = text.slice(0, LOOKED_AT);
  return !text.includes('\0') && (start.match(CONTROL)?.length ?? 0) * 100 <= start.length;
}

/** 'utf-16le' or 'utf-16be' where every second byte of the first ones is mostly zero, as in a text of Latin letters. */
function utf16(bytes: Uint8Array): string | null {
  const start = bytes.subarray(0, LOOKED_AT & ~1);
  let [even, odd] = [0, 0];
  for (let i = 0; i + 1 < start.length; i += 2) {
    if (start[i] === 0) even++;
    if (start[i + 1] === 0) odd++;
  }
  const most = (start.length / 2) * 0.7;
  return odd > most && even === 0 ? 'utf-16le' : even > most && odd === 0 ? 'utf-16be' : null;
}

/**
 * @returns null where they are no text in UTF-8 or UTF-16. Lines end with a line feed; a byte order mark is no part of
 *   it
 */
export function decodeText(bytes: Uint8Array): string | null {
  const [first, second] = bytes;
  const marked = first === 0xff && second === 0xfe ? 'utf-16le' : first === 0xfe && second === 0xff ? 'utf-16be' : null;
  try {
    const text = new TextDecoder(marked ?? utf16(bytes) ?? 'utf-8', { fatal: true }).decode(bytes);
    return isText(text) ? text.replace(/\r\n?/g, '\n') : null;
  } catch {
    return null;
  }
}
