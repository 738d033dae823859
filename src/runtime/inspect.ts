/** What loading a model would take, from its headers alone. */

import type { Checkpoint } from '../checkpoint/checkpoint';
import { openCheckpoint, refusalOf } from '../checkpoint/open-checkpoint';
import { checkQuantMethod } from '../formats/bitsandbytes';
import { parseObject } from '../formats/json';
import type { ReadBytes } from '../formats/layout';
import { explainMissing } from '../formats/other-files';
import { findWeightFiles, readTensors, SINGLE, type WeightFiles } from '../formats/safetensors';
import { readSmall } from '../formats/small-files';
import { hasOwnHead, untied } from '../formats/tied-head';
import { NO_LIMITS } from '../memory/plan';
import { parameterCount } from '../model/decoder';
import { expectedTensors } from '../model/expected-tensors';
import { HEAD } from '../model/head';
import { saysTied } from '../model/parse';
import type { InspectRequest, ModelCost } from '../protocol';
import type { Source } from '../sources/source';
import { type Manifest, readManifest } from '../store/manifest';
import { describeStored } from '../store/stored-models';
import { modelKey, openStored } from '../store/stored-source';
import { activationsFor } from './activations';
import { chooseBackend } from './choose-backend';
import { completeEngineOptions, effectiveEngineOptions } from './engine-options';
import type { Host } from './host';
import type { Plannable } from './model';
import { deviceEstimate, graphOf, planInfo, shortChat, specOf, withChunk } from './planning';

/**
 * Of a GGUF the header is read. Of a folder only config.json and the sizes of the weight files: bitsandbytes' headers
 * lie all over the file, and a request for each would take longer than the person waits.
 * @returns what it costs, and what further plans are made from
 * @throws network, corrupt-checkpoint, unsupported-architecture, unsupported-quantization, invalid-option
 */
export async function inspectModel(
  host: Host,
  { source: description, options: given, touch, sizes = true }: InspectRequest,
): Promise<{ cost: ModelCost; model: Plannable }> {
  const options = completeEngineOptions(given);
  const inner = await host.openSource(description, () => {});
  const local = description.kind === 'files';
  const { store } = local ? { store: null } : await host.openStore();
  const stored = store && (await describeStored(store, modelKey(inner)));
  // what is here in part is not touched: looking at a model changes nothing, and reads the headers' bytes only
  const source = stored?.complete ? await openStored(inner, store) : inner;
  try {
    const headers = await (source.gguf
      ? openCheckpoint(source)
      : readFolder(source, sizes, local || stored?.complete === true));
    const graph = graphOf(headers, options);
    const { gpu } = await chooseBackend(options.backend, host.gpu, options);
    gpu?.device.destroy();
    const { activations } = activationsFor(options.activations, gpu, graph);
    const effective = effectiveEngineOptions({ ...options, activations }, graph.spec, gpu ? null : host.threads);
    const sized: Plannable = {
      graph,
      limits: gpu?.limits ?? NO_LIMITS,
      target: gpu ? 'webgpu' : 'cpu',
      options: effective,
      checkpoint: { tensors: headers.tensors },
    };
    const model = withChunk(sized, options.chunk, gpu);
    const { tokens, ...chat } = shortChat(effective);
    const cost: ModelCost = {
      name: source.name,
      family: graph.spec.family,
      parameters: parameterCount(graph.spec),
      contextLength: graph.spec.contextLength,
      bytes: headers.totalBytes,
      storedBytes: stored?.storedBytes ?? 0,
      here: local || (stored?.complete ?? false),
      tokens,
      plan: await planInfo(model, chat),
      deviceEstimate: await deviceEstimate(host, gpu, touch),
      lastAttempt: stored?.lastAttempt ?? null,
      notes: headers.notes,
    };
    return { cost, model };
  } finally {
    await source.close?.();
  }
}

interface Headers extends Pick<Checkpoint, 'config' | 'tensors' | 'notes'> {
  totalBytes: number | null;
}

/**
 * @param ask false: of the weight files nothing is asked that a manifest does not say
 * @param here the files are on this device: whether a tied model has a head of its own is looked up, elsewhere it is
 * not
 */
async function readFolder(source: Source, ask: boolean, here: boolean): Promise<Headers> {
  // where the place lists its files, their sizes need no request
  const manifest = source.list ? null : await readManifest(source, null);
  const read = (path: string, start: number, end: number) => source.read(path, start, end);
  const size = (path: string) => source.size(path);
  const finding = ask && !manifest ? findWeightFiles(read, size) : null;
  finding?.catch(() => {});
  const missing = async (what: string) => {
    const error = await explainMissing(what, read, size, source.names);
    return refusalOf(source, error) ?? error;
  };
  const path = 'config.json';
  const bytes = await readSmall(path, read, size);
  if (bytes === null) throw await missing(path);
  const said = parseObject(bytes, path);
  checkQuantMethod(said);
  const found = await finding;
  if (finding && !found) throw await missing(SINGLE);
  const own = here && found && saysTied(said) && (await hasHead(found, read));
  const { config, notes } = own ? untied(said) : { config: said, notes: [] };
  const totalBytes = manifest ? sizesIn(manifest) : (found?.files.reduce((sum, file) => sum + file.bytes, 0) ?? null);
  const spec = specOf({ config, tensors: new Map() });
  return { config, notes, tensors: expectedTensors(config, spec, totalBytes), totalBytes };
}

const sizesIn = ({ files }: Manifest) =>
  Object.entries(files).reduce(
    (sum, [path, { bytes }]) => sum + (/^(?!consolidated).*\.safetensors$/.test(path) ? bytes : 0),
    0,
  );

/** A head of its own; an index without one spares the headers. */
async function hasHead(files: WeightFiles, read: ReadBytes): Promise<boolean> {
  if (files.where && ![...files.where.keys()].some((name) => name.endsWith(HEAD))) return false;
  return hasOwnHead(await readTensors(files, read), read);
}
