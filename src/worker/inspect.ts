/** What loading a model would take, from its headers alone. */
import { checkQuantMethod } from '../formats/bitsandbytes';
import { parseObject } from '../formats/json';
import { findWeightFiles } from '../formats/safetensors';
import { NO_LIMITS, planMemory } from '../memory/plan';
import { parameterCount } from '../model/decoder';
import { expectedTensors } from '../model/expected-tensors';
import { parseSpec } from '../model/parse';
import type { EngineOptions, ModelCost } from '../protocol';
import type { Checkpoint } from '../weights/checkpoint';
import { openCheckpoint } from '../weights/open-checkpoint';
import type { Source, SourceDescription } from '../weights/source';
import { describeStored } from '../weights/stored-models';
import { modelKey, openStored } from '../weights/stored-source';
import { chooseBackend } from './choose-backend';
import { effectiveEngineOptions } from './engine-options';
import { type Host, optionsFor, planModel } from './open-model';
import { planRequest } from './planning';

/** What the memory is told for: some questions and answers. */
const SHORT_CHAT_TOKENS = 512;

/**
 * Of a GGUF the header is read. Of a folder only config.json and the sizes of the weight files: bitsandbytes' headers
 * lie all over the file, and a request for each would take longer than the person waits.
 * @throws network, corrupt-checkpoint, unsupported-architecture, unsupported-quantization, invalid-option
 */
export async function inspectModel(
  host: Host,
  description: SourceDescription,
  given: EngineOptions,
): Promise<ModelCost> {
  const options = effectiveEngineOptions(given);
  const inner = host.openSource(description, () => {});
  const local = description.kind === 'files';
  const { store } = local ? { store: null } : await host.openStore();
  const stored = store && (await describeStored(store, modelKey(inner)));
  // what is here in part is not touched: looking at a model changes nothing, and reads the headers' bytes only
  const source = stored?.complete ? await openStored(inner, store) : inner;
  try {
    const headers = await (source.gguf ? openCheckpoint(source) : readFolder(source));
    const plan = planModel(headers, options);
    const { gpu } = await chooseBackend(options.backend, host.gpu, options);
    gpu?.device.destroy();
    const effective = optionsFor(plan, options);
    const tokens = Math.min(SHORT_CHAT_TOKENS, effective.maxContext);
    const half = Math.max(1, Math.floor(tokens / 2));
    const { total, fits, suggestions } = planMemory(
      plan,
      planRequest(effective, half, half),
      gpu?.limits ?? NO_LIMITS,
      gpu ? 'webgpu' : 'cpu',
    );
    return {
      name: source.name,
      family: plan.spec.family,
      parameters: parameterCount(plan.spec),
      contextLength: plan.spec.contextLength,
      bytes: headers.totalBytes,
      storedBytes: stored?.storedBytes ?? 0,
      here: local || (stored?.complete ?? false),
      memory: total,
      tokens,
      fits,
      suggestions,
      lastAttempt: stored?.lastAttempt ?? null,
    };
  } finally {
    await source.close?.();
  }
}

async function readFolder(source: Source): Promise<Pick<Checkpoint, 'config' | 'tensors' | 'totalBytes'>> {
  const read = (path: string, start: number, end: number) => source.read(path, start, end);
  const size = (path: string) => source.size(path);
  const weights = findWeightFiles(read, size);
  weights.catch(() => {});
  const path = 'config.json';
  const config = parseObject(await read(path, 0, (await size(path)) ?? 0), path);
  checkQuantMethod(config);
  const { files } = await weights;
  const totalBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
  return { config, tensors: expectedTensors(config, parseSpec(config)), totalBytes };
}
