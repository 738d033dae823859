/** The tiny model as one whose download takes a while, and which computes as little and answers the same. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseHeader, writeSafetensors } from '../src/formats/safetensors';

const TABLE = 'model.embed_tokens.weight';

/**
 * Writes a model's folder with more words in it, of zeros: their logit is 0, which is never the largest. The table
 * comes last in the file, after everything that the layers have.
 * @param bytes of the table
 */
export function writeWideModel(from: string, to: string, bytes: number): void {
  cpSync(from, to, { recursive: true });
  // what it says of the files is no longer true
  rmSync(join(to, 'manifest.json'));
  const config = JSON.parse(readFileSync(join(from, 'config.json'), 'utf8'));
  // of bf16
  const words = Math.floor(bytes / (2 * config.hidden_size));
  writeFileSync(join(to, 'config.json'), JSON.stringify({ ...config, vocab_size: words }));
  const file = new Uint8Array(readFileSync(join(from, 'model.safetensors')));
  const tensors = [...parseHeader(file, file.length, from)].map(([name, { dtype, shape, start, end }]) => {
    const data = file.subarray(start, end);
    const rest = { name, dtype: dtype as 'BF16' };
    if (name !== TABLE) return { ...rest, shape, data };
    const wide = new Uint8Array(2 * words * shape[1]);
    wide.set(data);
    return { ...rest, shape: [words, shape[1]], data: wide };
  });
  writeFileSync(join(to, 'model.safetensors'), Buffer.concat(writeSafetensors(tensors)));
}
