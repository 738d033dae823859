/** What a loaded model is, and what it runs on, in the protocol's words. */
import { wholeBytes } from '../memory/layout';
import { parameterCount } from '../model/decoder';
import type { ModelInfo } from '../protocol';
import type { Model } from './model';
import { planFor } from './planning';

/** What info() tells of it. */
export function modelInfo(model: Model): ModelInfo {
  const { checkpoint, graph, gpu, executor, options, tokenizer, template } = model;
  const { backendReason, activationsReason, storageReason, deviceEstimate } = model;
  const weightTypes: ModelInfo['weightTypes'] = {};
  for (const { format, bytes } of planFor(model, 1, 1).matrices) {
    weightTypes[format.type] ??= { count: 0, bytes: 0 };
    weightTypes[format.type].count++;
    weightTypes[format.type].bytes += wholeBytes(bytes);
  }
  return {
    name: checkpoint.name,
    revision: checkpoint.revision,
    family: graph.spec.family,
    parameters: parameterCount(graph.spec),
    contextLength: graph.spec.contextLength,
    source: 'device',
    sourceReason: 'The model is on this device.',
    backend: executor.backend,
    backendReason,
    adapter: gpu?.adapter ?? null,
    // Node has no origins, and no such name
    coi: globalThis.crossOriginIsolated ?? true,
    deviceEstimate,
    options,
    activationsReason,
    storageReason,
    weightTypes,
    variants: executor.stats().variants,
    tuning: model.tuning,
    lora: model.lora,
    hasTokenizer: tokenizer !== null,
    hasChatTemplate: template !== null,
    notes: [...checkpoint.notes, ...model.notes],
  };
}
