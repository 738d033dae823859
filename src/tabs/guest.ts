/**
 * A tab as the worker's owner sees it, and the worker as that tab does: requests and conversations have the tab's own
 * numbers, the adapters are those that it chose, and when it goes, what it had in the worker goes with it.
 */
import { type Remote, transfer } from 'comlink';
import type {
  EmbedRequest,
  GenerateRequest,
  InspectRequest,
  LoadRequest,
  LoraDescription,
  LoraInfo,
  LoraRequest,
  ModelInfo,
  PlanQuery,
  PromptOptions,
  RerankRequest,
  ScoreRequest,
  StoredRef,
  WorkerApi,
} from '../protocol';

/** Tabs count their requests from 1; none comes to as many. */
const NUMBERS = 2 ** 32;

/** Adapters by what they are; files are the same only as long as nobody chooses others. */
export const loraKey = (lora: readonly LoraDescription[]) =>
  JSON.stringify(lora, (_, value) => (value instanceof Blob ? crypto.randomUUID() : value));

/** Adapters that a tab has chosen. */
export interface Adapters {
  key: string;
  adapters: readonly LoraDescription[];
  info: readonly LoraInfo[];
}

type Call<T> = (api: Remote<WorkerApi>) => Promise<T>;

/** What a guest needs of who has the worker. */
export interface Host {
  load(request: LoadRequest, progress: MessagePort, signal: AbortSignal): Promise<ModelInfo>;
  /** Asks for an answer, in its turn. @param id of the request, in the worker */
  answer<T>(guest: Guest, id: number, call: Call<T>): Promise<T>;
  /** Makes a call with the guest's adapters in place. @param id of the request, in the worker; null: it has none */
  adapted<T>(guest: Guest, id: number | null, call: Call<T>): Promise<T>;
  setLora(key: string, request: LoraRequest): Promise<ModelInfo>;
  query<T>(call: Call<T>): Promise<T>;
  cancel(id: number): Promise<void>;
  /** Whether the adapters that are in place are these. */
  has(key: string): boolean;
}

/** A download has a worker of its own. */
export class Guest implements Omit<WorkerApi, 'download'> {
  /** what this tab has chosen */
  #lora: Adapters = { key: loraKey([]), adapters: [], info: [] };
  readonly #host: Host;
  readonly #number: number;
  readonly #talks = new Set<number>();
  readonly #requests = new Set<number>();
  readonly #loads = new Map<number, AbortController>();

  /** @param number unlike that of any other tab that this worker served */
  constructor(host: Host, number: number) {
    this.#host = host;
    this.#number = number;
  }

  get lora(): Adapters {
    return this.#lora;
  }

  /** Says that the worker runs. That it does not any more is said otherwise: see messages.ts. */
  async hello(): Promise<boolean> {
    await this.#host.query(async () => {});
    return false;
  }

  async load(request: LoadRequest, progress: MessagePort): Promise<ModelInfo> {
    const adapters = request.lora ?? [];
    this.#lora = { key: loraKey(adapters), adapters, info: [] };
    const stop = new AbortController();
    this.#loads.set(request.id, stop);
    try {
      return await this.#host.load(request, progress, stop.signal);
    } finally {
      this.#loads.delete(request.id);
    }
  }

  generate(request: GenerateRequest, tokens: MessagePort) {
    const conversation = this.#talk(request.conversation ?? 0);
    return this.#ask(request.id, (id) =>
      this.#host.answer(this, id, (api) => api.generate({ ...request, id, conversation }, transfer(tokens, [tokens]))),
    );
  }

  embed(request: EmbedRequest) {
    return this.#ask(request.id, (id) => this.#host.adapted(this, id, (api) => api.embed({ ...request, id })));
  }

  rerank(request: RerankRequest) {
    return this.#ask(request.id, (id) => this.#host.adapted(this, id, (api) => api.rerank({ ...request, id })));
  }

  score(request: ScoreRequest) {
    return this.#ask(request.id, (id) => this.#host.adapted(this, id, (api) => api.score({ ...request, id })));
  }

  setLora({ id: asked, lora }: LoraRequest) {
    const wanted = { key: loraKey(lora), adapters: lora };
    return this.#ask(asked, async (id) => {
      const info = await this.#host.setLora(wanted.key, { id, lora });
      this.#lora = { ...wanted, info: info.lora };
      return info;
    });
  }

  saveCache(conversation: number, name: string, asked = 0) {
    const talk = this.#talk(conversation);
    return this.#ask(asked, (id) => this.#host.adapted(this, id, (api) => api.saveCache(talk, name, id)));
  }

  restoreCache(conversation: number, name: string, maxContext?: number) {
    const talk = this.#talk(conversation);
    return this.#host.adapted(this, null, (api) => api.restoreCache(talk, name, maxContext));
  }

  cloneCache(from: number, to: number) {
    return this.#host.query((api) => api.cloneCache(this.#talk(from), this.#talk(to)));
  }

  close(conversation: number) {
    const talk = this.#talk(conversation);
    this.#talks.delete(talk);
    return this.#host.query((api) => api.close(talk));
  }

  async cancel(id: number) {
    this.#loads.get(id)?.abort();
    // of a load, too: a worker that hears answers, whatever it has of that number
    return this.#host.cancel(this.#own(id));
  }

  plan(query: PlanQuery) {
    const { conversation } = query;
    const own = conversation === undefined ? {} : { conversation: this.#talk(conversation) };
    return this.#host.query((api) => api.plan({ ...query, ...own }));
  }

  async info() {
    const info = await this.#host.query((api) => api.info());
    return { ...info, lora: this.#host.has(this.#lora.key) ? info.lora : this.#lora.info };
  }

  prompt = (...asked: [Parameters<WorkerApi['prompt']>[0], PromptOptions]) =>
    this.#host.query((api) => api.prompt(...asked));
  memory = () => this.#host.query((api) => api.memory());
  tokenize = (text: string, special: boolean) => this.#host.query((api) => api.tokenize(text, special));
  detokenize = (ids: number[]) => this.#host.query((api) => api.detokenize(ids));
  inspect = (request: InspectRequest) => this.#host.query((api) => api.inspect(request));
  savedCaches = () => this.#host.query((api) => api.savedCaches());
  deleteSavedCache = (name: string) => this.#host.query((api) => api.deleteSavedCache(name));
  stored = (model: StoredRef) => this.#host.query((api) => api.stored(model));
  storedModels = () => this.#host.query((api) => api.storedModels());
  verify = (model: StoredRef) => this.#host.query((api) => api.verify(model));
  forget = (model: StoredRef) => this.#host.query((api) => api.forget(model));

  /** The tab has gone, or wants the model no more: nothing of it is computed further, and its caches are freed. */
  async dispose() {
    for (const load of this.#loads.values()) load.abort();
    for (const id of this.#requests) void this.#host.cancel(id);
    for (const talk of this.#talks) void this.#host.query((api) => api.close(talk));
    this.#talks.clear();
  }

  #own = (id: number) => this.#number * NUMBERS + id;

  #talk(conversation: number): number {
    const talk = this.#own(conversation);
    this.#talks.add(talk);
    return talk;
  }

  async #ask<T>(asked: number, make: (id: number) => Promise<T>): Promise<T> {
    const id = this.#own(asked);
    this.#requests.add(id);
    try {
      return await make(id);
    } finally {
      this.#requests.delete(id);
    }
  }
}
