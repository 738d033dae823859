/** What a model would take, before it is loaded. */
import { NibbleError } from '../errors';
import { INSPECT_OPTIONS } from '../options/load';
import { checkOptions } from '../options/spec';
import type { EngineOptions, ModelCost, PlanInfo, PlanQuery } from '../protocol';
import { planQuery } from './arguments';
import { disposable } from './disposable';
import { hasTouch } from './environment';
import type { HubOptions } from './hub-options';
import { unlessLeft } from './leaving';
import { describeModel, type ModelInput } from './model-source';
import { startWorker } from './start-worker';
import type { WorkerOptions } from './worker-options';
import { workersFrom } from './workers-from';

/** A model that was looked at: what it would take, and what else it could take, asked as often as one likes. */
export interface Inspection {
  /** What a short chat with it would take. */
  cost: ModelCost;
  /** Another length, cache or budget; makes no request. @throws invalid-option, context-overflow */
  plan(query: PlanQuery): Promise<PlanInfo>;
  /** Ends the worker that answers; what is asked later fails as `disposed`. */
  dispose(): void;
  /** dispose(), for `using`. */
  [Symbol.dispose](): void;
  /** dispose(), for `await using`. */
  [Symbol.asyncDispose](): void;
  /**
   * Ends the worker that answers.
   * @deprecated the name that dispose() had
   */
  close(): void;
}

class OpenInspection implements Inspection {
  declare [Symbol.dispose]: () => void;
  declare [Symbol.asyncDispose]: () => void;
  #disposed = false;

  constructor(
    readonly cost: ModelCost,
    private readonly ask: (query: PlanQuery) => Promise<PlanInfo>,
    private readonly end: () => void,
  ) {}

  async plan(query: PlanQuery): Promise<PlanInfo> {
    if (!this.#disposed) return this.ask(planQuery(query));
    throw new NibbleError('disposed', 'This inspection was ended by dispose(). Open it again to go on.');
  }

  dispose(): void {
    this.#disposed = true;
    this.end();
  }

  close(): void {
    this.dispose();
  }
}

disposable(OpenInspection.prototype);

/** Options of inspectModel() and openInspection(). */
export interface InspectOptions extends EngineOptions, WorkerOptions, HubOptions {
  /**
   * false: of a folder nothing but config.json and manifest.json is asked for, so that its size may stay unknown.
   * Default: true.
   */
  sizes?: boolean;
}

/**
 * What load() with the same options would take: bytes to download and memory. Fetches headers only (of a folder its
 * config.json and the sizes of its files), and keeps nothing. Call dispose() when there is nothing more to ask.
 * @throws what load() throws before it downloads, such as network, unsupported-architecture, unsupported-quantization
 */
export async function openInspection(model: ModelInput, options: InspectOptions = {}): Promise<Inspection> {
  const checked = checkOptions<InspectOptions>(INSPECT_OPTIONS, options);
  const { revision, token, hub, workerUrl, createWorker, sizes, ...engineOptions } = checked;
  const source = await describeModel(model, { revision, token, hub });
  const { api, call, end } = await startWorker(workersFrom({ workerUrl, createWorker }));
  try {
    const cost = unlessLeft(await call(api.inspect({ source, options: engineOptions, sizes, touch: hasTouch() })));
    return new OpenInspection(cost, (query) => call(api.plan(query)), end);
  } catch (error) {
    end();
    throw error;
  }
}

/**
 * What load() with the same options would take, as openInspection() tells; for one question.
 * @throws what openInspection() throws
 */
export async function inspectModel(model: ModelInput, options: InspectOptions = {}): Promise<ModelCost> {
  const inspection = await openInspection(model, options);
  inspection.dispose();
  return inspection.cost;
}
