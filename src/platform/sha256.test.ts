import { createHash, randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { gitName, sha256 } from './sha256';
import { createSha256 } from './sha256-in-pieces';
import { createSha256 as createNativeSha256 } from './test/native-sha256';

const expected = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

it('is Node’s at every length around a block, in one piece and in odd ones', async () => {
  for (const length of [0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 1000, 100_003]) {
    const bytes = new Uint8Array(randomBytes(length));
    const whole = createSha256();
    whole.update(bytes);
    const pieces = createSha256();
    for (let at = 0, step = 1; at < length; at += step, step = (step * 7 + 3) % 200) {
      pieces.update(bytes.subarray(at, at + step));
      if (step === 0) step = 1;
    }
    expect([length, whole.digest()]).toEqual([length, expected(bytes)]);
    expect(pieces.length).toBe(length);
    expect(pieces.digest()).toBe(expected(bytes));
    const native = createNativeSha256();
    native.update(bytes);
    expect([native.length, native.digest()]).toEqual([length, expected(bytes)]);
    expect(await sha256(bytes)).toBe(expected(bytes));
  }
});

it('writes the bit count of more than 2^29 bytes', () => {
  const piece = new Uint8Array(1 << 20).fill(7);
  const hash = createSha256();
  const nodes = createHash('sha256');
  for (let i = 0; i < 513; i++) {
    hash.update(piece);
    nodes.update(piece);
  }
  expect(hash.digest()).toBe(nodes.digest('hex'));
});

it('names a file as git does', async () => {
  // printf 'hello\n' | git hash-object --stdin
  expect(await gitName(new TextEncoder().encode('hello\n'))).toBe('ce013625030ba8dba906f756967f9e9ca394464a');
});
