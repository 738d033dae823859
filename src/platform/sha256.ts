/** SHA-256 of one piece, by WebCrypto, and the name that git gives it. */

export const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** What WebCrypto is shown, and copies at once: not the bytes themselves, see release.ts. */
let shown = new Uint8Array(0);

async function digest(bytes: Uint8Array): Promise<Uint8Array | null> {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) return null;
  if (shown.length < bytes.length) shown = new Uint8Array(bytes.length);
  shown.set(bytes);
  return new Uint8Array(await subtle.digest('SHA-256', shown.subarray(0, bytes.length)));
}

/** Hex SHA-256 by WebCrypto, or null where the page has none (no secure context). */
export async function sha256(bytes: Uint8Array): Promise<string | null> {
  const found = await digest(bytes);
  return found && hex(found);
}

const PIECE_BYTES = 256 << 10;

/**
 * Hex SHA-256 of the SHA-256 of each 256 KiB, one behind the other; null where there is no WebCrypto. Chromium 156
 * takes it in half of the time, 3 ms instead of 6 of 4 MiB: what it copies in large pieces goes into new memory each
 * time.
 */
export async function sha256OfPieces(bytes: Uint8Array): Promise<string | null> {
  const digests: Promise<Uint8Array | null>[] = [];
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) digests.push(digest(bytes.subarray(at, at + PIECE_BYTES)));
  const all = (await Promise.all(digests)).flatMap((one) => [...(one ?? [])]);
  return sha256(Uint8Array.from(all));
}

/** The name git gives a file with this content: SHA-1 over "blob SIZE\0" and the bytes. */
export async function gitName(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const head = new TextEncoder().encode(`blob ${bytes.length}\0`);
  const whole = new Uint8Array(head.length + bytes.length);
  whole.set(head);
  whole.set(bytes, head.length);
  return hex(new Uint8Array(await crypto.subtle.digest('SHA-1', whole)));
}
