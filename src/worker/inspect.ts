/** What loading a model would take, from its headers alone. */
import { checkQuantMethod } from '../formats/bitsandbytes';
import { parseObject } from '../formats/json';
import { findWeightFiles } from '../formats/safetensors';
import { NO_LIMITS } from '../memory/plan';
import { parameterCount } from '../model/decoder';
import { expectedTensors } from '../model/expected-tensors';
import { parseSpec } from '../model/parse';
import type { InspectRequest, ModelCost } from '../protocol';
import type { Checkpoint } from '../weights/checkpoint';
import type { Manifest } from '../weights/manifest';
import { openCheckpoint } from '../weights/open-checkpoint';
import type { Source } from '../weights/source';
import { describeStored } from '../weights/stored-models';
import { modelKey, openStored, readManifest } from '../weights/stored-source';
import { chooseBackend } from './choose-backend';
import { effectiveEngineOptions } from './engine-options';
import { type Host, optionsFor, planModel } from './open-model';
import { deviceEstimate, type Planned, planInfo, shortChat } from './planning';

/**
 * Of a GGUF the header is read. Of a folder only config.json and the sizes of the weight files: bitsandbytes' headers
 * lie all over the file, and a request for each would take longer than the person waits.
 * @returns what it costs, and what further plans are made from
 * @throws network, corrupt-checkpoint, unsupported-architecture, unsupported-quantization, invalid-option
 */
export async function inspectModel(
  host: Host,
  { source: description, options: given, touch, sizes = true }: InspectRequest,
): Promise<{ cost: ModelCost; planned: Planned }> {
  const options = effectiveEngineOptions(given);
  const inner = await host.openSource(description, () => {});
  const local = description.kind === 'files';
  const { store } = local ? { store: null } : await host.openStore();
  const stored = store && (await describeStored(store, modelKey(inner)));
  // what is here in part is not touched: looking at a model changes nothing, and reads the headers' bytes only
  const source = stored?.complete ? await openStored(inner, store) : inner;
  try {
    const headers = await (source.gguf ? openCheckpoint(source) : readFolder(source, sizes));
    const plan = planModel(headers, options);
    const { gpu } = await chooseBackend(options.backend, host.gpu, options);
    gpu?.device.destroy();
    const effective = optionsFor(plan, options);
    const planned: Planned = {
      plan,
      limits: gpu?.limits ?? NO_LIMITS,
      target: gpu ? 'webgpu' : 'cpu',
      options: effective,
      checkpoint: { tensors: headers.tensors },
    };
    const { tokens, ...chat } = shortChat(effective);
    const cost: ModelCost = {
      name: source.name,
      family: plan.spec.family,
      parameters: parameterCount(plan.spec),
      contextLength: plan.spec.contextLength,
      bytes: headers.totalBytes,
      storedBytes: stored?.storedBytes ?? 0,
      here: local || (stored?.complete ?? false),
      tokens,
      plan: await planInfo(planned, chat),
      deviceEstimate: await deviceEstimate(host, gpu, touch),
      lastAttempt: stored?.lastAttempt ?? null,
    };
    return { cost, planned };
  } finally {
    await source.close?.();
  }
}

interface Headers extends Pick<Checkpoint, 'config' | 'tensors'> {
  totalBytes: number | null;
}

/** @param ask false: of the weight files nothing is asked that a manifest does not say */
async function readFolder(source: Source, ask: boolean): Promise<Headers> {
  // where the place lists its files, their sizes need no request
  const manifest = source.list ? null : await readManifest(source, null);
  const read = (path: string, start: number, end: number) => source.read(path, start, end);
  const size = (path: string) => source.size(path);
  const sizes = manifest ? sizesIn(manifest) : ask ? askSizes(read, size) : null;
  if (sizes instanceof Promise) sizes.catch(() => {});
  const path = 'config.json';
  const config = parseObject(await read(path, 0, (await size(path)) ?? 0), path);
  checkQuantMethod(config);
  const totalBytes = await sizes;
  return { config, tensors: expectedTensors(config, parseSpec(config), totalBytes), totalBytes };
}

const sizesIn = ({ files }: Manifest) =>
  Object.entries(files).reduce((sum, [path, { bytes }]) => sum + (path.endsWith('.safetensors') ? bytes : 0), 0);

async function askSizes(...asking: Parameters<typeof findWeightFiles>): Promise<number> {
  const { files } = await findWeightFiles(...asking);
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}
