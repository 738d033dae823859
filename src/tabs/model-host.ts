/**
 * The tab that has the worker: it loads the model once, and serves this tab and others over a port each (guest.ts).
 * Answers come in the order in which they were asked for; whoever waits for another tab's is told.
 */
import { expose } from 'comlink';
import { type RunningWorker, startWorker } from '../engine/start-worker';
import type { WorkerOptions } from '../engine/worker-options';
import { asNibbleError } from '../errors';
import { wakingClock, within } from '../platform/within';
import type { LoadRequest, LoraRequest, ModelInfo } from '../protocol';
import { Guest, type Host, loraKey } from './guest';
import { Loading } from './loading';
import type { Told } from './messages';
import { mark, whenFree } from './tab-locks';

type Api = RunningWorker['api'];
type MakeWorker = NonNullable<WorkerOptions['createWorker']>;

/** A worker that does not hear a stop for so long is ended: later than the tab that asked for it has left. */
const DEAF_MS = 3000;
/** The number of a change of adapters that no tab asked for; those of tabs are larger (guest.ts). */
const LORA_ID = 2;
const OTHERS_LOAD = 'Another tab is loading this model.';

interface Served {
  guest: Guest;
  port: MessagePort;
  /** what it has been told */
  ahead: number;
}

export class ModelHost implements Host {
  readonly #locks: LockManager;
  readonly #life: Promise<{ name: string; release: () => void }>;
  readonly #worker: Promise<RunningWorker>;
  readonly #served = new Set<Served>();
  readonly #leaving: (request: LoadRequest) => string | null;
  readonly #closed: () => void;
  readonly #ended: () => void;
  readonly #over = new AbortController();
  #loading: Loading | null = null;
  /** whose answers are asked for, in their order */
  #asked: { guest: Guest }[] = [];
  /** which adapters are in place; null: nobody knows */
  #lora: string | null = loraKey([]);
  #count = 0;

  /**
   * @param leaving of a load, the attempt before it that is known to have ended otherwise: see LoadRequest.left
   * @param closed called as soon as it takes nobody any more
   * @param ended called when the worker is gone
   */
  constructor(
    locks: LockManager,
    ways: readonly MakeWorker[],
    leaving: (request: LoadRequest) => string | null,
    closed: () => void,
    ended: () => void,
  ) {
    this.#locks = locks;
    this.#leaving = leaving;
    this.#closed = closed;
    this.#ended = ended;
    this.#life = mark(locks, 'nibble-host');
    this.#worker = startWorker(ways);
    this.#worker.then(
      // settles when it breaks down only
      ({ call }) => call(new Promise<never>(() => {})).catch((error) => this.end(reasonOf(error))),
      () => this.#soonOver(),
    );
  }

  /**
   * Serves a tab.
   * @param tab the lock that it holds for as long as it listens
   * @returns what ends that
   */
  serve(port: MessagePort, tab: string): () => void {
    const guest = new Guest(this, ++this.#count);
    const served: Served = { guest, port, ahead: 0 };
    const left = new AbortController();
    const leave = () => {
      if (!this.#served.delete(served)) return;
      left.abort();
      void guest.dispose().catch(() => {});
      if (this.#served.size === 0) this.end('nobody');
    };
    this.#served.add(served);
    whenFree(this.#locks, tab, left.signal, leave);
    expose(guest, port);
    void this.#life.then(({ name }) => tell(port, { told: 'here', life: name }));
    return leave;
  }

  /** that it serves, this one among them */
  get tabs(): number {
    return this.#served.size;
  }

  /** Ends the worker: who was served is told why. */
  end(reason: string): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#closed();
    for (const { port } of this.#served) tell(port, { told: 'end', reason });
    this.#served.clear();
    this.#worker.then(
      ({ end }) => end(),
      () => {},
    );
    void this.#life.then(({ release }) => release());
    this.#ended();
  }

  /** Its tab was told by itself what has failed; the others are told after it. */
  #soonOver(reason = 'died'): void {
    this.#closed();
    setTimeout(() => this.end(reason));
  }

  async load(request: LoadRequest, progress: MessagePort, signal: AbortSignal): Promise<ModelInfo> {
    const api = await this.#api();
    const others = this.#loading ? OTHERS_LOAD : undefined;
    this.#loading ??= this.#begin(api, request);
    return this.#watched(this.#loading.join(progress, others, signal));
  }

  #begin(api: Api, request: LoadRequest): Loading {
    this.#lora = loraKey(request.lora ?? []);
    return new Loading(api, { ...request, left: this.#leaving(request) }, () => {
      this.#loading = null;
    });
  }

  async answer<T>(guest: Guest, id: number, call: (api: Api) => Promise<T>): Promise<T> {
    const asked = { guest };
    this.#asked.push(asked);
    this.#tellAhead();
    try {
      return await this.adapted(guest, id, call);
    } finally {
      this.#asked = this.#asked.filter((other) => other !== asked);
      this.#tellAhead();
    }
  }

  #tellAhead(): void {
    for (const served of this.#served) {
      const own = this.#asked.findIndex(({ guest }) => guest === served.guest);
      const answers = Math.max(0, own);
      if (answers !== served.ahead) tell(served.port, { told: 'ahead', answers });
      served.ahead = answers;
    }
  }

  async adapted<T>(guest: Guest, id: number | null, call: (api: Api) => Promise<T>): Promise<T> {
    const api = await this.#api();
    const { key, adapters } = guest.lora;
    if (key === this.#lora) return this.#watched(call(api));
    // one after the other, with nothing of other tabs between them: the worker keeps the order
    const changed = this.#setLora(api, key, { id: LORA_ID, lora: adapters });
    const result = call(api);
    result.catch(() => {});
    try {
      await changed;
    } catch (error) {
      // what was asked of other adapters is nobody's
      if (id !== null) void api.cancel(id);
      throw error;
    }
    return this.#watched(result);
  }

  async setLora(key: string, request: LoraRequest): Promise<ModelInfo> {
    return this.#setLora(await this.#api(), key, request);
  }

  async #setLora(api: Api, key: string, request: LoraRequest): Promise<ModelInfo> {
    this.#lora = key;
    try {
      return await this.#watched(api.setLora(request));
    } catch (error) {
      this.#lora = null;
      throw error;
    }
  }

  has = (key: string) => key === this.#lora;

  async query<T>(call: (api: Api) => Promise<T>): Promise<T> {
    return this.#watched(call(await this.#api()));
  }

  async cancel(id: number): Promise<void> {
    const { api, end } = await this.#worker;
    const heard = api.cancel(id);
    within(DEAF_MS, heard, () => new Error(), wakingClock).catch(end);
    return heard;
  }

  async #api(): Promise<Api> {
    return (await this.#worker).api;
  }

  /** Of a device that is lost whoever asked hears; the next worker is another one, for all. */
  async #watched<T>(call: Promise<T>): Promise<T> {
    try {
      return await call;
    } catch (error) {
      if (asNibbleError(error).code === 'device-lost') this.#soonOver();
      throw error;
    }
  }
}

const tell = (port: MessagePort, message: Told) => port.postMessage(message);

/** Why a worker broke down, in the words of its error event. */
function reasonOf(error: unknown): string {
  const reason = String(asNibbleError(error).details.reason);
  return /^failed \((.*)\)$/s.exec(reason)?.[1] ?? reason;
}
