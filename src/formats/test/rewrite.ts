/** For tests: a model's folder with its tensors as another program would have written them. */

import { type NewTensor, parseHeader, writeSafetensors } from '../safetensors';
import type { Files } from './files';
import { joined } from './files';

/** A tensor of any type. */
export type AnyTensor = Omit<NewTensor, 'dtype'> & { dtype: string };

export function tensorsOf(bytes: Uint8Array): AnyTensor[] {
  return [...parseHeader(bytes, bytes.length, 'm')].map(([name, { dtype, shape, start, end }]) => ({
    name,
    dtype,
    shape,
    data: bytes.slice(start, end),
  }));
}

export const written = (tensors: readonly AnyTensor[]): Uint8Array => joined(writeSafetensors(tensors as NewTensor[]));

/** The same files with other tensors. */
export const rewritten = (files: Files, change: (tensors: AnyTensor[]) => AnyTensor[]): Files => ({
  ...files,
  'model.safetensors': written(change(tensorsOf(files['model.safetensors']))),
});

export const renamed = (from: RegExp, to: string) => (tensors: AnyTensor[]) =>
  tensors.map((tensor) => ({ ...tensor, name: tensor.name.replace(from, to) }));

/** Cut into shards of so many tensors, with an index of what `where` says lies in them. */
export function sharded(files: Files, sizes: readonly number[], where: (map: Record<string, string>) => object): Files {
  const { 'model.safetensors': whole, ...others } = files;
  const tensors = tensorsOf(whole);
  const map: Record<string, string> = {};
  const out: Files = { ...others };
  for (const [i, size] of sizes.entries()) {
    const path = `model-0000${i + 1}-of-0000${sizes.length}.safetensors`;
    const some = tensors.splice(0, size);
    for (const { name } of some) map[name] = path;
    out[path] = written(some);
  }
  out['model.safetensors.index.json'] = Buffer.from(JSON.stringify({ weight_map: where(map) }));
  return out;
}
