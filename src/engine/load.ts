/** From a model's name to an engine: the model is loaded into a worker, and into the next one if that is lost. */
import { transfer } from 'comlink';
import { throwIfAborted } from '../errors';
import { LOAD_OPTIONS } from '../options/load';
import { checkOptions } from '../options/spec';
import type { EngineOptions, ModelInfo, Progress } from '../protocol';
import { type Engine, LocalEngine, type Wanted } from './engine';
import { hasTouch } from './environment';
import { HeldModel } from './held-model';
import type { HubOptions } from './hub-options';
import { leftAttempt, noteLeaving, noteLeft } from './leaving';
import { describeLora, type LoraInput } from './lora-input';
import { describeModel, type ModelInput } from './model-source';
import { cancellable, nextId, type RunningWorker } from './start-worker';
import type { WorkerOptions } from './worker-options';
import { workersFrom } from './workers-from';

/** Options of load() about the model on this device. */
export interface DeviceOptions extends EngineOptions, WorkerOptions, HubOptions {
  /** Adapters that are active from the start; see Engine.setLora(). Default: none. */
  lora?: LoraInput | readonly LoraInput[];
  /** Told how far loading has come: often while bytes come, and again whenever the model is loaded anew by itself. */
  onProgress?: (progress: Progress) => void;
  /** Stops the load, which then throws `aborted`; what was downloaded stays stored. */
  signal?: AbortSignal;
}

/**
 * Firefox asks the person whether to keep what is stored. The load goes on meanwhile, and info() tells the answer when
 * there is one.
 */
const PERSIST_MS = 250;

/**
 * The model on this device: what the library's load() (src/remote/load.ts) gives where no server may answer.
 * @param model - see ModelInput for the ways to name one
 * @throws NibbleError: invalid-option for an argument that it does not take, aborted by `signal`, and any other code of
 * ErrorCode
 */
export async function load(model: ModelInput, options: DeviceOptions = {}): Promise<Engine> {
  const {
    onProgress = () => {},
    signal,
    revision,
    token,
    hub,
    workerUrl,
    createWorker,
    persist,
    lora = [],
    ...engineOptions
  } = checkOptions<DeviceOptions>(LOAD_OPTIONS, options);
  throwIfAborted(signal);
  // at once, while this is still the person's click; workers cannot ask
  const promised = persist ? globalThis.navigator?.storage?.persist?.().catch(() => false) : undefined;
  const wanted: Wanted = {
    source: await describeModel(model, { revision, token, hub }),
    options: { ...engineOptions, persist: false },
    lora: await describeLora(lora),
  };
  const answered = promised?.then((kept) => {
    wanted.options.persist = kept;
  });
  await Promise.race([answered, answered && new Promise((resolve) => setTimeout(resolve, PERSIST_MS))]);
  let attempt: string | null = null;
  const held = new HeldModel(workersFrom({ workerUrl, createWorker }), async (worker, lost, signal) => {
    // what was lost under the eyes of this page is no riddle at the next load
    const left = lost ? attempt : leftAttempt();
    attempt = String(Math.random());
    const report = lost ? noting(lost, onProgress) : onProgress;
    const { backend } = await fill(worker, { ...wanted, attempt, left }, report, signal);
    // another backend would not go on where this one stopped
    if (backend === 'webgpu') wanted.options.backend = backend;
  });
  await held.ready(signal);
  return new LocalEngine(held, wanted);
}

/** Tells at once why the model is loaded again, and with every report until it is. */
function noting(note: string, onProgress: (progress: Progress) => void): (progress: Progress) => void {
  const nothing = { loadedBytes: 0, totalBytes: 0, networkBytes: 0, bytesPerSecond: null, secondsLeft: null };
  onProgress({ phase: 'header', ...nothing, note });
  return (progress) => onProgress(progress.phase === 'ready' ? progress : { ...progress, note: progress.note ?? note });
}

async function fill(
  worker: RunningWorker,
  request: Wanted & { attempt: string; left: string | null },
  onProgress: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<ModelInfo> {
  const id = nextId();
  const { port1, port2 } = new MessageChannel();
  // the last report may come after the result: the two take different ports
  const reported = new Promise<void>((resolve) => {
    port1.onmessage = ({ data }: MessageEvent<Progress>) => {
      if (data.phase === 'ready') resolve();
      onProgress(data);
    };
  });
  const arrived = noteLeaving(request.attempt);
  try {
    return await cancellable(worker, id, signal, async () => {
      const info = await worker.api.load({ id, ...request, touch: hasTouch() }, transfer(port2, [port2]));
      await reported;
      return info;
    });
  } catch (error) {
    if (worker.deaf) noteLeft(request.attempt);
    throw error;
  } finally {
    arrived();
    port1.close();
  }
}
