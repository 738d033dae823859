/** SHA-256 of one piece, by WebCrypto, and the name that git gives it. */

export const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** What WebCrypto is shown, and copies at once: not the bytes themselves, see release.ts. */
let shown = new Uint8Array(0);

/** Hex SHA-256 by WebCrypto, or null where the page has none (no secure context). */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string | null> {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) return null;
  if (shown.length < bytes.length) shown = new Uint8Array(bytes.length);
  shown.set(bytes);
  return hex(new Uint8Array(await subtle.digest('SHA-256', shown.subarray(0, bytes.length))));
}

/** The name git gives a file with this content: SHA-1 over "blob SIZE\0" and the bytes. */
export async function gitName(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const head = new TextEncoder().encode(`blob ${bytes.length}\0`);
  const whole = new Uint8Array(head.length + bytes.length);
  whole.set(head);
  whole.set(bytes, head.length);
  return hex(new Uint8Array(await crypto.subtle.digest('SHA-1', whole)));
}
