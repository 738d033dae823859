/** nibble inspect: what a checkpoint is, from its headers, and what of it cannot run here. */

import { checkShapes } from '../../checkpoint/load-weights';
import { asNibbleError } from '../../errors';
import { parameterCount, tensorTable } from '../../model/decoder';
import { specOf } from '../../runtime/planning';
import type { Arguments } from '../arguments';
import { openHeaders } from '../open';
import { mib, print } from '../terminal';

export async function inspect(args: Arguments): Promise<void> {
  const checkpoint = await openHeaders(args, args.positional(0, 'MODEL'));
  checkpoint.close();
  const unsupported: string[] = [];
  let architecture: object | null = null;
  try {
    const spec = specOf(checkpoint);
    checkShapes(checkpoint, tensorTable(spec));
    const { layers, ...rest } = spec;
    const sliding = layers.filter(({ kind }) => kind === 'sliding').length;
    architecture = { ...rest, layers: layers.length, slidingLayers: sliding, parameters: parameterCount(spec) };
  } catch (error) {
    unsupported.push(asNibbleError(error).message);
  }
  const tensors = [...checkpoint.tensors.values()].map(({ name, rows, cols, stored, storedBytes }) => ({
    name,
    rows,
    cols,
    stored,
    bytes: storedBytes,
  }));
  const types: Record<string, { count: number; bytes: number }> = {};
  for (const { stored, bytes } of tensors) {
    types[stored] ??= { count: 0, bytes: 0 };
    types[stored].count++;
    types[stored].bytes += bytes;
  }
  const { name, revision, totalBytes } = checkpoint;
  const modelType = checkpoint.config.model_type ?? null;
  const result = {
    name,
    revision,
    model_type: modelType,
    architecture,
    bytes: totalBytes,
    types,
    unsupported,
    notes: checkpoint.notes,
    tensors,
  };
  await print(args, result, () =>
    [
      `${name}: ${modelType}, ${mib(totalBytes)}, ${tensors.length} tensors`,
      JSON.stringify(architecture),
      ...Object.entries(types).map(([type, { count, bytes }]) => `${type}: ${count} tensors, ${mib(bytes)}`),
      ...checkpoint.notes,
      ...(unsupported.length > 0
        ? unsupported.map((reason) => `not supported: ${reason}`)
        : ['everything is supported']),
      ...(args.flag('verbose') ? tensors.map((t) => `${t.name} [${t.rows}, ${t.cols}] ${t.stored} ${t.bytes}`) : []),
    ].join('\n'),
  );
}
