/**
 * In the place of sha256-in-pieces.ts, for tests that load many models and ask nothing about how their digests are
 * computed: the same digests from OpenSSL, in a tenth of the time. sha256.test.ts holds both to the same.
 */
import { createHash } from 'node:crypto';
import type { Sha256 } from '../sha256-in-pieces';

export function createSha256(): Sha256 {
  const hash = createHash('sha256');
  let length = 0;
  return {
    get length() {
      return length;
    },
    update(bytes) {
      hash.update(bytes);
      length += bytes.length;
    },
    digest: () => hash.digest('hex'),
  };
}
