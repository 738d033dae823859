/** From a Source to a model that is ready to run: everything that load() does, for the worker and for the CLI. */

import type { Checkpoint } from '../checkpoint/checkpoint';
import { checkShapes, loadWeights } from '../checkpoint/load-weights';
import { checkpointOf, openLayout } from '../checkpoint/open-checkpoint';
import { type ErrorCode, NibbleError } from '../errors';
import type { Executor, WeightSink } from '../execute/executor';
import type { FileLayout } from '../formats/layout';
import type { Conversations } from '../generate/conversations';
import { stopIds } from '../generate/stop-ids';
import type { Gpu } from '../gpu/device';
import type { DeviceFacts } from '../memory/device-estimate';
import { chooseFormats } from '../memory/formats';
import type { LayoutTarget } from '../memory/layout';
import { contextLimit, NO_LIMITS, type PlanLimits, type PlanModel, planMemory } from '../memory/plan';
import { forwardSteps, tensorTable } from '../model/decoder';
import { parseSpec } from '../model/parse';
import type { DeviceEstimate, LoadRequest, LoraInfo, Progress } from '../protocol';
import { isChange } from '../sources/versions';
import type { ModelStore } from '../store/chunk-store';
import { beginAttempt, lastAttempt } from '../store/load-attempt';
import { lockDownload, lockUse } from '../store/locks';
import { createProgress } from '../store/progress';
import { samplePlaces } from '../store/samples';
import { isInstalled, modelKey, openStored, type StoredSource } from '../store/stored-source';
import type { ChatTemplate } from '../text/chat-template';
import type { Tokenizer } from '../text/tokenizer';
import { chooseBackend } from './choose-backend';
import { createExecutor, fetchExecutor } from './create-executor';
import { type EffectiveEngineOptions, effectiveEngineOptions } from './engine-options';
import type { OpenSource } from './open-source';
import { checkFits, deviceEstimate, type Planned, planFor, planRequest, shortChat } from './planning';

/** What differs between a browser's worker and Node. */
export interface Host {
  /** navigator.gpu, Dawn's, or null */
  gpu: GPU | null;
  openSource: OpenSource;
  /** @param onNote told what is waited for, and '' when it is no more */
  openStore(onNote?: (note: string) => void): Promise<{ store: ModelStore | null; reason: string }>;
  /** false: loads leave no mark, for they are often stopped without a word (store/load-attempt.ts) */
  marks?: false;
  /** what is known of the machine; absent: nothing is */
  machine?: Omit<DeviceFacts, 'touch'>;
}

/**
 * The first bytes of every slice that was loaded, by its place: they tell weights from others of the same shapes, also
 * where no digest of them is known. No proof against who means to deceive.
 */
export type Samples = Map<string, Uint8Array>;
const SAMPLE_BYTES = 16;

export interface Model {
  /** tensors and configs; the tokenizer's files are let go */
  checkpoint: Checkpoint;
  plan: PlanModel;
  limits: PlanLimits;
  target: LayoutTarget;
  gpu: Gpu | null;
  backendReason: string;
  storageReason: string;
  deviceEstimate: DeviceEstimate;
  options: EffectiveEngineOptions;
  executor: Executor;
  tokenizer: Tokenizer | null;
  template: ChatTemplate | null;
  stopIds: ReadonlySet<number>;
  /** see ModelInfo */
  notes: readonly string[];
  conversations: Conversations;
  /** the active adapters, in order */
  lora: readonly LoraInfo[];
  /** what the model is kept under, where it is */
  key: string;
  /** of the weights as they were loaded, and of the active adapters */
  samples: Samples;
  loraSamples: Samples;
  openStore: Host['openStore'];
  /** lets other tabs delete what is kept of the model */
  release(): void;
}

/** What a checkpoint's (or an adapter's) own bytes are to blame for. */
const UNSUPPORTED: readonly ErrorCode[] = ['unsupported-architecture', 'unsupported-quantization'];
export const UNUSABLE: readonly ErrorCode[] = ['corrupt-checkpoint', ...UNSUPPORTED];

/** What does not fit together may be of two versions. @returns the error that says so, where files have changed meanwhile */
export async function changeBehind(source: StoredSource, error: unknown): Promise<NibbleError | undefined> {
  if (!(error instanceof NibbleError)) return undefined;
  if (!UNUSABLE.includes(error.code) && ![404, 410].includes(Number(error.details.status))) return undefined;
  const reason: unknown = await source.unchanged().catch((failure) => failure);
  return isChange(reason) ? reason : undefined;
}

/** How often a download that its author's digest refutes is thrown away and tried once more. */
const REFETCHES = 1;
/** How often a load begins anew because the server has another version of a file meanwhile. */
export const CHANGES = 3;

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
  const options = effectiveEngineOptions(request.options);
  let [refetches, changes] = [0, 0];
  for (let note = ''; ; ) {
    const attempt = { altered: false, note };
    try {
      return await tryOpen(host, request, options, report, signal, attempt);
    } catch (error) {
      const changed = isChange(error);
      if (changed && ++changes > CHANGES) throw keepsChanging(error);
      if (!changed && (!attempt.altered || refetches++ === REFETCHES)) throw error;
      note = changed
        ? `${error.details.path} changed on the server while it was downloaded: the load begins anew.`
        : 'What was downloaded had arrived altered: it is fetched again.';
    }
  }
}

function keepsChanging({ code, details }: NibbleError): NibbleError {
  const message = `${details.path} keeps changing on the server: it was another file ${CHANGES + 1} times while it was downloaded. Load the model again when its upload is over.`;
  return new NibbleError(code, message, { ...details, times: CHANGES + 1 });
}

async function tryOpen(
  host: Host,
  { source: description, attempt: mark, left, touch }: LoadRequest,
  options: ReturnType<typeof effectiveEngineOptions>,
  report: (progress: Progress) => void,
  stop: AbortSignal | undefined,
  /** told whether the load failed for bytes that arrived other than they are, and were dropped; note: why this is not the first */
  attempt: { altered: boolean; note: string },
): Promise<Model> {
  let about = attempt.note;
  const meter = createProgress((progress) => report(about && !progress.note ? { ...progress, note: about } : progress));
  meter.phase('header');
  const cleanup: (() => unknown)[] = [];
  let release = () => {};
  let executor: Executor | undefined;
  let source: StoredSource | undefined;
  // beside the headers, and then the code of the executor that will be needed
  const choosing = chooseBackend(options.backend, host.gpu, options);
  choosing.then(({ gpu }) => fetchExecutor(gpu)).catch(() => {});
  const halt = new AbortController();
  choosing.then(({ gpu }) => gpu?.health.failed.then(() => halt.abort())).catch(() => {});
  // AbortSignal.any() is younger than the browsers that this runs in
  const { signal } = halt;
  const stopped = () => halt.abort();
  if (stop?.aborted) stopped();
  stop?.addEventListener('abort', stopped);
  try {
    const local = description.kind === 'files';
    const { store, reason } = await storeFor(host, local, options.storage, meter.note);
    // files are not kept, but that a tab died of them is
    const marked = host.marks !== false && options.storage !== 'none';
    const marks = marked ? (store ?? (local ? (await host.openStore()).store : null)) : null;
    const inner = await host.openSource(description, meter.network, meter.note);
    cleanup.push(() => inner.close?.());
    let downloaded = () => {};
    const choice = [options.weights, ...options.keep].join(' ');
    const key = modelKey(inner);
    if (marks) {
      const last = await lastAttempt(marks, key);
      if (last && last.id !== left) about ||= last.message;
    }
    if (marks || store) release = await lockUse(key, signal, () => meter.note(IN_THE_WAY));
    if (store && !isInstalled(await store.ledger.get(key), choice)) {
      downloaded = await lockDownload(key, signal, () => meter.note(DOWNLOADED_ELSEWHERE));
      cleanup.push(downloaded);
    }
    meter.note('');
    const ifRoom = options.storage === 'if-room';
    const opened = await openStored(inner, store, {
      choice,
      signal,
      onStored: meter.stored,
      onSize: meter.file,
      ifRoom,
    });
    source = opened;
    cleanup.push(() => opened.close());
    // another tab has downloaded it meanwhile: the next one need not wait for this one to read it
    if (opened.complete) downloaded();
    const layout = await openLayout(opened, signal);
    let checkpoint = checkpointOf(layout, opened);
    const plan = planModel(checkpoint, options);
    const { files } = checkpoint;
    if (store && !opened.original && isQuantised(layout, plan)) checkpoint = await keepQuantised(opened, layout, plan);
    // What only a question needs: its code arrives while weights do, and is here, offline too, when they are.
    const answer = import('./answer');
    const text = openText(checkpoint, options.chatTemplate);
    for (const part of [answer, text]) part.catch(() => {});
    // what was given and cannot be used is said before anything is downloaded
    if (options.chatTemplate !== null) await text;
    const { gpu, reason: backendReason } = await choosing;
    const limits = gpu?.limits ?? NO_LIMITS;
    const target = gpu ? 'webgpu' : 'cpu';
    const estimate = deviceEstimate(host, gpu, touch);
    estimate.catch(() => {});
    const effective: EffectiveEngineOptions = {
      ...optionsFor(plan, options),
      storage: store ? options.storage : 'none',
    };
    const least = planMemory(plan, planRequest(effective, 1, 1), limits, target);
    const planned: Planned = { plan, limits, target, options: effective, checkpoint };
    await checkFits(planned, least, () => {
      const { promptTokens, maxNewTokens } = shortChat(effective);
      return planFor(planned, promptTokens, maxNewTokens);
    });
    if (marks && mark) cleanup.push(await beginAttempt(marks, { id: mark, key, bytes: least.peak, at: Date.now() }));
    meter.total(checkpoint.totalBytes);
    meter.phase(opened.complete ? 'upload' : 'download', opened.anew ? ANEW : undefined);
    executor = await createExecutor(gpu, plan, least, effective.tune);
    const samples: Samples = new Map();
    opened.places = samplePlaces(layout);
    opened.streaming = files;
    await loadWeights(checkpoint, tensorTable(plan.spec), sampled(executor.sink, samples), {
      signal,
      formats: plan.formats,
      onPlaced: meter.placed,
    });
    meter.phase('compile');
    const answering = { ...(await text), deviceEstimate: await estimate };
    const { Conversations } = await answer;
    await opened.markComplete();
    gpu?.health.check();
    meter.phase('ready');
    return {
      // the tokenizer's JSON may be tens of megabytes
      checkpoint: { ...checkpoint, tokenizer: null },
      plan,
      limits,
      target,
      gpu,
      backendReason,
      storageReason: opened.full ? opened.unwritable || NO_ROOM : reason,
      options: effective,
      executor,
      ...answering,
      conversations: new Conversations(executor, plan.spec),
      lora: [],
      key: modelKey(inner),
      samples,
      loraSamples: new Map(),
      openStore: () => host.openStore(),
      release,
    };
  } catch (thrown) {
    const gpu = (await choosing.catch(() => null))?.gpu ?? null;
    const known = (await gpu?.health.explain(thrown)) ?? thrown;
    const error = (source && (await changeBehind(source, known))) ?? known;
    executor?.dispose();
    gpu?.device.destroy();
    release();
    // what arrived broken would be found again by every later attempt
    if (error instanceof NibbleError && UNUSABLE.includes(error.code)) await source?.dropUnproven().catch(() => {});
    if (source?.dropped && !UNSUPPORTED.includes((error as NibbleError).code)) attempt.altered = true;
    throw error;
  } finally {
    for (const step of cleanup.reverse()) await step();
  }
}

const IN_THE_WAY = 'Another tab or program checks or deletes what is kept of this model: it is waited for.';

const DOWNLOADED_ELSEWHERE = 'Another tab or program is downloading this model: it is waited for.';

const NO_ROOM = 'There is no room for this model: what fitted is kept, and the rest is fetched again next time.';

const ANEW = 'What was kept of this model was made for another choice of weights: it is made anew.';

/** Whether matrices of 16 or 32 bits are to run in fewer. */
const isQuantised = ({ records }: FileLayout, { formats }: PlanModel) =>
  [...formats].some(([name, { type }]) => records.get(name)?.encoding.kind === 'dense' && /^q/.test(type));

/** Their result is what is kept, in a file of its own. */
async function keepQuantised(source: StoredSource, layout: FileLayout, { formats }: PlanModel): Promise<Checkpoint> {
  const { quantisedFile, QUANTISED } = await import('../checkpoint/quantised');
  const made = quantisedFile(layout, formats);
  if (!made) return checkpointOf(layout, source);
  const of = layout.files.map(({ path }) => path);
  await source.keepInstead(QUANTISED, made.bytes, of, (start, end) => made.make(start, end, source.read));
  return checkpointOf(made.layout, source);
}

async function storeFor(
  host: Host,
  local: boolean,
  wanted: EffectiveEngineOptions['storage'],
  onNote: (note: string) => void,
) {
  if (local) return { store: null, reason: 'Files on this device are read where they are.' };
  if (wanted === 'none') return { store: null, reason: 'The model is not kept because storage is off.' };
  return host.openStore(onNote);
}

/** @throws corrupt-checkpoint, unsupported-architecture, invalid-option (a name to keep that is in none) */
export function planModel(
  checkpoint: Pick<Checkpoint, 'config' | 'tensors' | 'unread'>,
  { weights, keep }: Pick<EffectiveEngineOptions, 'weights' | 'keep'>,
): PlanModel {
  const spec = parseSpec(checkpoint.config);
  const needed = tensorTable(spec);
  checkShapes(checkpoint, needed);
  const matrices = needed.filter(({ kind }) => kind === 'matrix').map(({ name }) => name);
  return { spec, steps: forwardSteps(spec), formats: chooseFormats(checkpoint.tensors, matrices, weights, keep) };
}

/** The options within what the model can do. */
export function optionsFor(
  { spec }: PlanModel,
  options: ReturnType<typeof effectiveEngineOptions>,
): EffectiveEngineOptions {
  const maxContext = contextLimit(spec, options);
  const { kvCapacity } = options;
  return {
    ...options,
    maxContext,
    kvCapacity: typeof kvCapacity === 'number' ? Math.min(kvCapacity, maxContext) : kvCapacity,
  };
}

async function openText({ tokenizer: files, generationConfig, config }: Checkpoint, given: string | null) {
  const { createTokenizer, createChatTemplate, GIVEN, templateSource } = await import('../text/index');
  const { modelDefaults, undoneNote } = await import('./answer');
  const tokenizer = files && createTokenizer(files.json, files.config);
  const source = given ?? templateSource(files?.config.chat_template);
  const { bad, undone } = modelDefaults(generationConfig);
  return {
    tokenizer,
    template: source === null ? null : createChatTemplate(source, given === null ? undefined : GIVEN),
    notes: [...bad, undoneNote(undone)].filter((note) => note !== null),
    stopIds: stopIds([generationConfig, config], tokenizer?.eosIds),
  };
}

/** Keeps the beginning of some bytes. */
export function sample(
  samples: Samples,
  place: string,
  { buffer, byteOffset, byteLength }: ArrayBufferView,
  most = SAMPLE_BYTES,
): void {
  samples.set(place, new Uint8Array(buffer, byteOffset, Math.min(byteLength, most)).slice());
}

/** The same sink, with samples taken of what goes in. */
function sampled(sink: WeightSink, samples: Samples): WeightSink {
  return {
    write(name, slice) {
      sample(samples, `${name} ${slice.row0}`, slice.type === 'dense' ? slice.data : slice.codes);
      return sink.write(name, slice);
    },
    writeVector(name, values) {
      sample(samples, name, values);
      sink.writeVector(name, values);
    },
    finish: () => sink.finish(),
  };
}
