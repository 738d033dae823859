/** For tests: a GGUF cut into several files, as llama-gguf-split does it. */
import { type GgufTensor, readGgufHeader } from '../gguf-header';
import type { Files } from './files';
import { gguf, type Value } from './gguf-writer';

const u16 = (n: number): Value => ['u16', n];

/**
 * @param counts tensors of each file; 0 in the first for --no-tensor-first-split
 * @param say what else, or otherwise, the files' metadata says, by number
 */
export async function splitGguf(
  bytes: Uint8Array,
  name: string,
  counts: readonly number[],
  say: (no: number) => Record<string, Value> = () => ({}),
): Promise<Files> {
  const { tensors, metadata } = await readGgufHeader(
    'm.gguf',
    async (_, start, end) => bytes.slice(start, end),
    bytes.length,
  );
  const inOrder = [...tensors].sort((a, b) => a.start - b.start);
  const first = Buffer.from(tensors[0].name);
  // what stands between the counts and the first tensor's entry
  const end = Buffer.from(bytes).indexOf(
    Buffer.concat([new Uint8Array(BigUint64Array.of(BigInt(first.length)).buffer), first]),
  );
  const raw = bytes.slice(24, end);
  const files: Files = {};
  let at = 0;
  for (const [no, count] of counts.entries()) {
    const own = inOrder.slice(at, at + count).map(({ dims, name, start, end, type }: GgufTensor) => ({
      name,
      dims,
      type: NUMBERS[type],
      data: bytes.slice(start, end),
    }));
    at += count;
    const split = {
      'split.no': u16(no),
      'split.count': u16(counts.length),
      'split.tensors.count': ['i32', tensors.length] as Value,
      ...say(no),
    };
    const five = (n: number) => String(n).padStart(5, '0');
    const path = `${name}-${five(no + 1)}-of-${five(counts.length)}.gguf`;
    files[path] = gguf(split, own, 3, no === 0 ? { raw, count: metadata.size } : undefined)['m.gguf'];
  }
  return files;
}

/** ggml's numbers of the types in the fixtures. */
const NUMBERS: Record<string, number> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q5_0: 6,
  Q5_1: 7,
  Q8_0: 8,
  Q4_K: 12,
  Q5_K: 13,
  Q6_K: 14,
  IQ4_NL: 20,
  BF16: 30,
};
