/** nibble plan: the bytes that a request would take, from headers or from config.json alone. */
import { readFile, stat } from 'node:fs/promises';
import { NibbleError } from '../../errors';
import type { JsonObject } from '../../formats/json';
import { parseObject } from '../../formats/json';
import { chooseFormats } from '../../memory/formats';
import { NO_LIMITS } from '../../memory/plan';
import { forwardSteps, tensorTable } from '../../model/decoder';
import { expectedTensors } from '../../model/expected-tensors';
import { chooseBackend } from '../../runtime/choose-backend';
import { completeEngineOptions, effectiveEngineOptions } from '../../runtime/engine-options';
import type { Plannable } from '../../runtime/model';
import { deviceEstimate, planInfo, specOf, withChunk } from '../../runtime/planning';
import { type Arguments, engineOptions } from '../arguments';
import { gpuFor } from '../dawn';
import { MACHINE, THREADS } from '../host';
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
  const options = completeEngineOptions(engineOptions(args));
  const alone = path.endsWith('.json') && (await stat(path).catch(() => null));
  const headers = alone ? null : await openHeaders(args, path);
  headers?.close();
  const config = headers?.config ?? (await readConfig(path));
  const spec = specOf(headers ?? { config, tensors: new Map() });
  const tensors = headers?.tensors ?? expectedTensors(config, spec);
  const matrices = tensorTable(spec).flatMap(({ name, kind }) => (kind === 'matrix' ? [name] : []));
  const formats = chooseFormats(tensors, matrices, options.weights, options.keep);
  const graph = { spec, steps: forwardSteps(spec), formats };
  const { gpu } = await chooseBackend(options.backend, await gpuFor(options.backend, args.text('gpu')), options);
  const sized = {
    graph,
    limits: gpu?.limits ?? NO_LIMITS,
    target: gpu ? 'webgpu' : 'cpu',
    options: effectiveEngineOptions(options, spec, gpu ? null : THREADS),
    checkpoint: { tensors },
  } as const;
  const model = withChunk<Plannable>(sized, options.chunk, gpu);
  const made = await planInfo(model, {
    promptTokens: args.count('prompt-tokens', 1),
    maxNewTokens: args.count('max-new-tokens', 256),
  });
  const device = await deviceEstimate({ machine: MACHINE }, gpu);
  gpu?.device.destroy();
  const { weights, kv, kvByLayer, kvFullContext, scratch, staging, total, peak, fits, suggestions } = made;
  const result = { weights, kv, kv_by_layer: kvByLayer, scratch, staging, total, fits, suggestions };
  const more = { kv_full_context: kvFullContext, peak, device_estimate: device };
  await print(args, { ...result, ...more }, () =>
    [
      `weights ${mib(weights)}, cache ${mib(kv)}, scratch ${mib(scratch)}: ${mib(total)} in all, ${mib(peak)} at most while it loads`,
      `cache at the full context of ${spec.contextLength} tokens: ${mib(kvFullContext)}`,
      `this machine probably allows ${mib(device.bytes)}. ${device.reason}`,
      ...(fits ? [] : ['It does not fit. What would:', ...suggestions.map((text) => `- ${text}`)]),
    ].join('\n'),
  );
}
