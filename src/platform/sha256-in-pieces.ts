/** SHA-256 of a file in pieces, which WebCrypto cannot do: fetched where an author lists digests. */
import { sha256 } from '@noble/hashes/sha2.js';
import { hex } from './sha256';

export interface Sha256 {
  /** bytes taken so far */
  readonly length: number;
  update(bytes: Uint8Array): void;
  /** Hex digest of everything; no update may follow. */
  digest(): string;
}

export function createSha256(): Sha256 {
  const hash = sha256.create();
  let length = 0;
  return {
    get length() {
      return length;
    },
    update(bytes) {
      hash.update(bytes);
      length += bytes.length;
    },
    digest: () => hex(hash.digest()),
  };
}
