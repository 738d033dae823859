/** From a Source to a model that is ready to run, stage by stage: what load() does, for the worker and for the CLI. */

import type { Checkpoint } from '../checkpoint/checkpoint';
import { loadWeights } from '../checkpoint/load-weights';
import { checkpointOf, openLayout } from '../checkpoint/open-checkpoint';
import { NibbleError } from '../errors';
import type { WeightSink } from '../execute/executor';
import type { FileLayout } from '../formats/layout';
import { type MemoryPlan, type ModelGraph, NO_LIMITS } from '../memory/plan';
import { tensorTable } from '../model/decoder';
import type { LoadRequest, Progress } from '../protocol';
import { isChange } from '../sources/versions';
import type { ModelStore } from '../store/chunk-store';
import { beginAttempt } from '../store/load-attempt';
import type { StoredSource } from '../store/stored-source';
import { samplePlaces } from '../store/version-samples';
import { activationsFor } from './activations';
import { CHANGES, changeBehind, dropUnusable, isUnsupported } from './changing-files';
import { createExecutor } from './create-executor';
import { completeEngineOptions, effectiveEngineOptions } from './engine-options';
import { fingerprinted } from './fingerprint';
import type { Host } from './host';
import { type Before, beginLoading, type Loading } from './loading';
import type { Fingerprint, Model, Plannable } from './model';
import { openFiles } from './open-files';
import { checkFits, deviceEstimate, graphOf, planFor, shortChat, withChunk } from './planning';
import { beginTuning } from './tuning';
import { undo } from './undo';

/** How often a download that its author's digest refutes is thrown away and tried once more. */
const REFETCHES = 1;

const NO_ROOM = 'There is no room for this model: what fitted is kept, and the rest is fetched again next time.';

const ANEW = 'What was kept of this model was made for another choice of weights: it is made anew.';

/**
 * Opens, downloads where needed, verifies, and puts the weights where they are computed with. On failure nothing is
 * left allocated or locked; what was downloaded stays stored for the next attempt, unless it is unusable and unproven.
 * @throws every code of load(): see ErrorCode
 */
export async function openModel(
  host: Host,
  request: LoadRequest,
  report: (progress: Progress) => void = () => {},
  signal?: AbortSignal,
): Promise<Model> {
  return tryLoading(host, request, report, signal, loadModel);
}

/**
 * Goes through the stages of a load, and through them again where that may help: where files have changed or arrived
 * altered, or the GPU computes nothing that is right. What a failed try has done is undone.
 * @throws what the stages throw
 */
export async function tryLoading<T>(
  host: Host,
  request: LoadRequest,
  report: (progress: Progress) => void,
  signal: AbortSignal | undefined,
  stages: (loading: Loading) => Promise<T>,
): Promise<T> {
  const options = completeEngineOptions(request.options);
  let [refetches, changes] = [0, 0];
  for (let before: Before = { about: '', unfit: '' }; ; ) {
    const loading = beginLoading(host, request, options, report, signal, before);
    try {
      return await stages(loading);
    } catch (thrown) {
      const error = await undoFailed(loading, thrown);
      if (isChange(error)) {
        if (++changes > CHANGES) throw keepsChanging(error);
        const about = `${error.details.path} changed on the server while it was downloaded: the load begins anew.`;
        before = { ...before, about };
        continue;
      }
      if (options.backend === 'auto' && !before.unfit && isUnfit(error)) {
        before = { about: 'The GPU cannot compute this model: it is loaded for the CPU.', unfit: error.message };
        continue;
      }
      const altered = loading.source?.dropped && !isUnsupported(error);
      if (!altered || refetches++ === REFETCHES) throw error;
      before = { ...before, about: 'What was downloaded had arrived altered: it is fetched again.' };
    } finally {
      await undo(loading.passing);
    }
  }
}

/** Whether the GPU was there and computes nothing that is right. */
const isUnfit = (error: unknown): error is NibbleError =>
  error instanceof NibbleError && error.code === 'webgpu-unavailable';

/**
 * Undoes what a failed try has done.
 * @returns why it failed: that the device was lost or files have changed, where they have
 */
async function undoFailed({ backend, source, undoes }: Loading, thrown: unknown): Promise<unknown> {
  const { gpu } = await backend.catch(() => ({ gpu: null }));
  const known = (await gpu?.health.explain(thrown)) ?? thrown;
  const error = (source && (await changeBehind(source, known))) ?? known;
  await undo(undoes);
  if (source) await dropUnusable(source, error);
  return error;
}

function keepsChanging({ code, details }: NibbleError): NibbleError {
  const message = `${details.path} keeps changing on the server: it was another file ${CHANGES + 1} times while it was downloaded. Load the model again when its upload is over.`;
  return new NibbleError(code, message, { ...details, times: CHANGES + 1 });
}

/** The stages of one try. What they leave to be undone, openModel() undoes. @throws every code of load() */
async function loadModel(loading: Loading): Promise<Model> {
  const { host, request, options, meter, undoes, passing } = loading;
  const { source, key, kept, marks } = await openFiles(loading);
  const { layout, graph, checkpoint } = await readHeaders(loading, source, kept.store !== null);
  // what was given and cannot be used is said before anything is downloaded
  const given = options.chatTemplate === null ? null : await openText(checkpoint, options.chatTemplate);
  const { gpu, reason: backendReason } = await loading.backend;
  const estimate = deviceEstimate(host, gpu, request.touch);
  estimate.catch(() => {});
  const { activations, reason: activationsReason } = activationsFor(options.activations, gpu, graph);
  const sized = {
    gpu,
    backendReason,
    activationsReason,
    graph,
    limits: gpu?.limits ?? NO_LIMITS,
    target: gpu ? ('webgpu' as const) : ('cpu' as const),
    options: {
      ...effectiveEngineOptions({ ...options, activations }, graph.spec, gpu ? null : host.threads),
      storage: kept.store ? options.storage : 'none',
    },
    checkpoint,
  };
  const unloaded = withChunk(sized, options.chunk, gpu);
  const least = await leastPlan(unloaded);
  const id = request.attempt;
  if (marks && id) passing.push(await beginAttempt(marks, { id, key, bytes: least.peak, at: Date.now() }));
  // what may be fetched ahead is on its way while the executor is made
  source.places = samplePlaces(layout);
  source.streaming = layout.files.map(({ path }) => path);
  let text = given && Promise.resolve(given);
  const textOpened = () => {
    text ??= openText(checkpoint, null);
    text.catch(() => {});
    return text;
  };
  const placed = await placeWeights(loading, source, unloaded, least, kept.store ?? marks, textOpened);
  meter.phase('compile');
  const { Sequences, ...parts } = await textOpened();
  const estimated = await estimate;
  await source.markComplete();
  gpu?.health.check();
  meter.phase('ready');
  return {
    ...unloaded,
    // the tokenizer's JSON may be tens of megabytes
    checkpoint: { ...checkpoint, tokenizer: null },
    storageReason: source.full ? source.unwritable || NO_ROOM : kept.reason,
    ...placed,
    ...parts,
    deviceEstimate: estimated,
    sequences: new Sequences(placed.executor, graph.spec),
    lora: [],
    key,
    loraFingerprint: new Map(),
    openStore: () => host.openStore(),
    dispose: () => undo(undoes),
  };
}

/** What the files say, and what is kept of them where matrices of 16 or 32 bits are to run in fewer. */
export async function readHeaders({ signal, options }: Loading, source: StoredSource, isKept: boolean) {
  const layout = await openLayout(source, signal);
  const original = checkpointOf(layout, source);
  const graph = graphOf(original, options);
  if (!isKept || source.original || !isQuantised(layout, graph)) return { layout, graph, checkpoint: original };
  const { keepQuantised } = await import('../checkpoint/quantised');
  return { layout, graph, checkpoint: await keepQuantised(source, layout, graph.formats) };
}

const isQuantised = ({ records }: FileLayout, { formats }: ModelGraph) =>
  [...formats].some(([name, { type }]) => records.get(name)?.encoding.kind === 'dense' && /^q/.test(type));

/** The tokenizer and the chat template, with the code that answers: it arrives while weights do. */
async function openText(checkpoint: Checkpoint, given: string | null) {
  const [{ Sequences, openTokenizer }, text] = await Promise.all([import('./answering'), import('../text/index')]);
  return { Sequences, ...openTokenizer(text, checkpoint, given) };
}

/** The plan of the shortest request. @throws out-of-memory where there is no room for it */
async function leastPlan(model: Plannable): Promise<MemoryPlan> {
  const least = planFor(model, 1, 1);
  await checkFits(model, least, () => {
    const { promptTokens, maxNewTokens } = shortChat(model.options);
    return planFor(model, promptTokens, maxNewTokens);
  });
  return least;
}

/**
 * Brings the weights, from the network or the store, to where they are computed with.
 * @param store that remembers which kernels suit the device
 * @param onBegun called when the first are there, and more are on their way: what takes long then holds up nothing
 */
async function placeWeights(
  { host, meter, signal, undoes }: Loading,
  source: StoredSource,
  { gpu, graph, options, checkpoint }: Pick<Model, 'gpu' | 'graph' | 'options' | 'checkpoint'>,
  least: MemoryPlan,
  store: ModelStore | null,
  onBegun: () => void,
): Promise<Pick<Model, 'executor' | 'fingerprint' | 'tuning'>> {
  meter.total(checkpoint.totalBytes);
  meter.phase(source.complete ? 'upload' : 'download', source.anew ? ANEW : undefined);
  const executor = await createExecutor(gpu, graph, least, options, host.threads);
  undoes.push(() => executor.dispose());
  const choosing = beginTuning(gpu, executor, least, options, store, host.machine?.userAgent ?? '');
  undoes.push(() => choosing.finish().catch(() => {}));
  let tuning: Model['tuning'] = null;
  const sink: WeightSink = {
    write: (name, slice) => executor.sink.write(name, slice),
    writeVector: (name, values) => executor.sink.writeVector(name, values),
    // which frees what it has been tried in
    async finish() {
      tuning = await choosing.finish();
      await executor.sink.finish();
    },
  };
  const fingerprint: Fingerprint = new Map();
  await loadWeights(checkpoint, tensorTable(graph.spec), fingerprinted(sink, fingerprint), {
    signal,
    formats: graph.formats,
    onPlaced: (bytes) => {
      onBegun();
      meter.placed(bytes);
    },
  });
  return { executor, fingerprint, tuning };
}
