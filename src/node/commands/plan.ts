/** nibble plan: the bytes that a request would take, from headers or from config.json alone. */
import { readFile, stat } from 'node:fs/promises';
import { NibbleError } from '../../errors';
import { parseObject } from '../../formats/json';
import { chooseFormats } from '../../memory/formats';
import { NO_LIMITS, planMemory } from '../../memory/plan';
import { forwardSteps, tensorTable } from '../../model/decoder';
import { expectedTensors } from '../../model/expected-tensors';
import { parseSpec } from '../../model/parse';
import type { JsonObject } from '../../weights/checkpoint';
import { chooseBackend } from '../../worker/choose-backend';
import { effectiveEngineOptions } from '../../worker/engine-options';
import { planRequest } from '../../worker/planning';
import { type Arguments, engineOptions } from '../arguments';
import { gpuFor } from '../dawn';
import { openHeaders } from '../open';
import { mib, print } from '../terminal';

export async function readConfig(path: string): Promise<JsonObject> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new NibbleError('invalid-option', `${path} cannot be read: ${cause}.`, { path }, { cause });
  });
  return parseObject(bytes, path);
}

export async function plan(args: Arguments): Promise<void> {
  const path = args.positional(0, 'MODEL or config.json');
  const options = effectiveEngineOptions(engineOptions(args));
  const alone = path.endsWith('.json') && (await stat(path).catch(() => null));
  const headers = alone ? null : await openHeaders(path);
  headers?.close();
  const config = headers?.config ?? (await readConfig(path));
  const spec = parseSpec(config);
  const tensors = headers?.tensors ?? expectedTensors(config, spec);
  const matrices = tensorTable(spec).flatMap(({ name, kind }) => (kind === 'matrix' ? [name] : []));
  const formats = chooseFormats(tensors, matrices, options.weights, options.keep);
  const model = { spec, steps: forwardSteps(spec), formats };
  const { gpu } = await chooseBackend(options.backend, await gpuFor(options.backend, args.text('gpu')), options);
  const request = planRequest(
    { ...options, maxContext: options.maxContext ?? spec.contextLength },
    args.count('prompt-tokens', 1),
    args.count('max-new-tokens', 256),
  );
  const made = planMemory(model, request, gpu?.limits ?? NO_LIMITS, gpu ? 'webgpu' : 'cpu');
  gpu?.device.destroy();
  const { weights, kv, scratch, staging, total, fits, suggestions } = made;
  const layers = made.kvByLayer.map(({ kind, slots, bytes }) => ({ kind, slots, bytes }));
  const full = planMemory(model, { ...request, kvCapacity: 'full', budget: null }, NO_LIMITS, 'cpu').kv;
  await print(args, { weights, kv, kv_by_layer: layers, scratch, staging, total, fits, suggestions }, () =>
    [
      `weights ${mib(weights)}, cache ${mib(kv)} (full context: ${mib(full)}), scratch ${mib(scratch)}: ${mib(total)} in all`,
      ...suggestions,
    ].join('\n'),
  );
}
