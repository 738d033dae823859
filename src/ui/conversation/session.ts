/**
 * One conversation with one model, as a state that elements draw: what is loaded, what was said, what went wrong.
 * It knows the engine by its shape only, so tests drive it with a fake one.
 */
import { asNibbleError, type NibbleError } from '../../errors';
import type {
  ChatMessage,
  EngineOptions,
  GenerateResult,
  MemoryInfo,
  ModelInfo,
  Prefill,
  Progress,
  SamplingOptions,
} from '../../protocol';
import type { ModelChoice } from '../models/model-choice';
import type { ChatEngine, LoadEngine, Talk } from './chat-engine';
import { type Cut, isSaid } from './cut';
import type { ModelPreview } from './preview';

export type Phase = 'idle' | 'loading' | 'ready' | 'answering';

export interface SessionOptions {
  choice: ModelChoice;
  engine: EngineOptions;
  /**
   * without maxNewTokens, an answer gets ANSWER_TOKENS, or half the context where that is less; without overflow, a
   * chat that outgrows the context goes on, and the answer's note says what is no longer seen
   */
  sampling: SamplingOptions;
  /** first message of every conversation, not shown */
  system?: string;
}

const ANSWER_TOKENS = 256;

/** After these the worker, or what it held, is gone: the next try loads the model again. */
const FATAL = new Set(['device-lost', 'worker-failed', 'webgpu-unavailable']);

/** Dispatches 'change' whenever a field changes, and 'progress', 'ready', 'message', 'error' as they happen. */
export class ChatSession extends EventTarget {
  phase: Phase = 'idle';
  progress: Progress | null = null;
  info: ModelInfo | null = null;
  memory: MemoryInfo | null = null;
  /**
   * the conversation, without the system message; while answering, the last one grows. Whoever keeps what was said may
   * put it here before anything is asked
   */
  messages: ChatMessage[] = [];
  /** of the last answer; null where it is whole. Without an answer, the question was stopped before there was one */
  cut: Cut | null = null;
  /** what newChat() put away last, until something else is said */
  closed: { messages: ChatMessage[]; cut: Cut | null } | null = null;
  /** how far the question has been read, while there is no answer to it yet */
  prefill: Prefill | null = null;
  /** of the last finished answer */
  result: GenerateResult | null = null;
  error: NibbleError | null = null;
  /** what loading `choice` would cost; null while that is being found out */
  preview: ModelPreview | null = null;
  /** the model that made room for `choice`, while that is not loaded itself */
  previous: { choice: ModelChoice; preview: ModelPreview | null } | null = null;
  /** name of the saved cache that the next conversation with the engine begins with, and saves */
  saved?: string;
  /** the engine's side of the conversation; null before its first answer */
  talk: Talk | null = null;

  #load: LoadEngine;
  #options: SessionOptions;
  #engine: ChatEngine | null = null;
  #abort: AbortController | null = null;
  /** the person agreed to load this model where not all of it can be kept */
  #ifRoom = false;
  /** the load or the answer that is under way */
  #task: Promise<void> = Promise.resolve();

  constructor(load: LoadEngine, options: SessionOptions) {
    super();
    this.#load = load;
    this.#options = options;
  }

  /** the model that is loaded, or would be */
  get choice(): ModelChoice {
    return this.#options.choice;
  }

  /** what every model is loaded with */
  get engineOptions(): EngineOptions {
    return this.#options.engine;
  }

  /** bytes that loads may take from now on; null: as many as there are */
  get memoryBudget(): number | null {
    return this.#options.engine.memoryBudget ?? null;
  }

  set memoryBudget(bytes: number | null) {
    const { memoryBudget: _, ...engine } = this.#options.engine;
    this.#options = { ...this.#options, engine: bytes === null ? engine : { ...engine, memoryBudget: bytes } };
    this.#set({});
  }

  /** The person chose how the offered model is to be loaded. */
  adjust(options: EngineOptions): void {
    this.#options = { ...this.#options, choice: { ...this.choice, options } };
    this.#set({});
  }

  /** Says what loading the model would cost. */
  offer(preview: ModelPreview): void {
    this.#set({ preview });
  }

  /**
   * Loads the model; does nothing when it is loaded or loading. Failures end up in `error`.
   * @param asked the person has just asked for it: the browser is asked to keep it
   */
  async load(asked = false): Promise<void> {
    if (this.phase === 'idle') await this.#run(this.#loadNow(asked));
  }

  /** Loads another model in the place of this one; the conversation stays. The person has just asked for it. */
  async change(choice: ModelChoice, preview: ModelPreview | null): Promise<void> {
    const last = this.choice;
    const previous = this.#engine === null ? this.previous : { choice: last, preview: this.preview };
    let task: Promise<void>;
    do {
      task = this.#task;
      this.stop();
      await task;
      // after a load, an answer may have begun
    } while (task !== this.#task);
    // whoever changed it meanwhile has the word
    if (this.choice !== last) return;
    await this.dispose();
    this.#options = { ...this.#options, choice };
    this.#ifRoom = false;
    // another model has other ids
    const byText = (cut: Cut | null) => cut && { ...cut, ids: null };
    const closed = this.closed && { ...this.closed, cut: byText(this.closed.cut) };
    this.#set({ preview, result: null, error: null, previous, cut: byText(this.cut), closed });
    await this.load(true);
  }

  /** Loads again after the browser had no room for the model: what does not fit is not kept for the next visit. */
  async loadWithoutRoom(): Promise<void> {
    this.#ifRoom = true;
    await this.retry();
  }

  /** Loads again under another memory limit, after an error that the last one caused, and answers what was asked. */
  async allow(memoryBudget: number): Promise<void> {
    this.memoryBudget = memoryBudget;
    if (this.#engine !== null) await this.dispose();
    await this.retry();
  }

  /** Sends a question and streams the answer into `messages`. */
  async ask(question: string): Promise<void> {
    if (this.phase !== 'ready' || question.trim() === '') return;
    // some templates refuse two questions in a row: one that was left without an answer gives way to the next
    const before = this.messages.at(-1)?.role === 'user' ? this.messages.slice(0, -1) : this.messages;
    this.messages = [...before, { role: 'user', content: question.trim() }];
    this.cut = this.closed = null;
    this.#announce('message', this.messages.at(-1));
    await this.#run(this.#answer());
  }

  /** Stops the download or the answer that is under way; what was said so far stays. */
  stop(): void {
    this.#abort?.abort();
  }

  /** Goes on with the answer that was cut. */
  async continue(): Promise<void> {
    if (this.phase === 'ready' && this.cut) await this.#run(this.#answer(this.cut));
  }

  /** Puts the conversation away, and gives back its memory; the model stays, or goes on loading. */
  newChat(): void {
    const { messages, phase } = this;
    const cut: Cut | null = phase === 'answering' ? { finish: 'aborted', ids: null } : this.cut;
    if (messages.length > 0) this.closed = { messages: messages.filter(isSaid), cut };
    if (phase === 'answering') this.stop();
    void this.talk
      ?.close()
      .then(() => this.#remember())
      .catch(() => {});
    this.talk = null;
    this.#set({ messages: [], cut: null, result: null, error: null });
  }

  /** Brings back what newChat() put away, until something else is said. The next answer computes it anew. */
  undoNewChat(): void {
    if (this.closed && this.messages.length === 0) this.#set({ ...this.closed, closed: null, error: null });
  }

  /** After an error: loads again if need be, and answers the question that was left without an answer. */
  async retry(): Promise<void> {
    this.#set({ error: null });
    if (this.phase === 'idle') await this.load();
    if (this.phase === 'ready' && this.messages.at(-1)?.role === 'user') await this.#run(this.#answer());
  }

  /** Puts an error on show that did not come from the engine. */
  report(error: NibbleError): void {
    this.#fail(error);
  }

  dismissError(): void {
    this.#set({ error: null });
  }

  async dispose(): Promise<void> {
    this.stop();
    const engine = this.#engine;
    this.#forgetEngine();
    this.#set({ phase: 'idle', info: null, memory: null, progress: null });
    await engine?.dispose();
  }

  #forgetEngine(): void {
    this.#engine = null;
    this.talk = null;
  }

  /** Shows what is allocated now. */
  async #remember(): Promise<void> {
    const memory = await this.#engine?.memory();
    if (memory && this.phase === 'ready') this.#set({ memory });
  }

  #run(task: Promise<void>): Promise<void> {
    this.#task = task;
    return task;
  }

  async #loadNow(asked: boolean): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    this.#set({ phase: 'loading', error: null, progress: null });
    let engine: ChatEngine | null = null;
    try {
      const { choice, engine: options } = this.#options;
      const { model, name: _, options: chosen, ...hub } = choice;
      engine = await this.#load(model, {
        ...options,
        ...chosen,
        ...(this.#ifRoom && { storage: 'if-room' }),
        ...hub,
        persist: asked,
        signal: abort.signal,
        onProgress: (progress) => {
          this.#set({ progress });
          this.#announce('progress', progress);
        },
      });
      const [info, memory] = await Promise.all([engine.info(), engine.memory()]);
      if (abort.signal.aborted) throw abort.signal.reason;
      this.#engine = engine;
      const kept = this.preview && {
        ...this.preview,
        here: this.preview.here || !info.storageReason,
        lastAttempt: undefined,
      };
      this.#set({ phase: 'ready', info, memory, preview: kept, previous: null });
      this.#announce('ready', info);
    } catch (thrown) {
      void engine?.dispose();
      this.#set({ phase: 'idle' });
      this.#fail(thrown, abort.signal);
    }
  }

  /** @param cut of an answer that is to go on */
  async #answer(cut: Cut | null = null): Promise<void> {
    const engine = this.#engine;
    if (engine === null) return;
    const abort = new AbortController();
    this.#abort = abort;
    const last = this.messages.at(-1);
    const before = cut && last?.role === 'assistant' ? last : null;
    const asked = before ? this.messages.slice(0, -1) : this.messages;
    const { system, sampling } = this.#options;
    let thought = '';
    let told = '';
    let made: readonly number[] = [];
    // newChat() may have replaced the conversation under way: then this answer is nobody's.
    const current = () => this.messages === asked || this.messages.at(-2) === asked.at(-1);
    // what goes on is told again from its beginning
    const [content, reasoning] = [before?.content ?? '', before?.reasoning_content ?? ''];
    const isOld = () => told.length <= content.length && thought.length <= reasoning.length;
    const answer = (): ChatMessage => {
      if (before && isOld()) return before;
      return { role: 'assistant', content: told, ...(thought && { reasoning_content: thought }) };
    };
    const said = (): ChatMessage[] => [...asked, answer()];
    const show = () => current() && this.#set({ messages: said() });

    this.#set({
      phase: 'answering',
      error: null,
      result: null,
      progress: null,
      cut: null,
      prefill: null,
      messages: said(),
    });
    try {
      if (before) made = cut?.ids ?? (content && !reasoning ? await engine.tokenize(content) : []);
      const messages: ChatMessage[] = system ? [{ role: 'system', content: system }, ...asked] : asked;
      const room = Math.max(1, Math.floor((this.info?.options.maxContext ?? Infinity) / 2));
      const maxNewTokens = made.length + (sampling.maxNewTokens ?? Math.min(ANSWER_TOKENS, room));
      this.talk ??= engine.conversation({ saved: this.saved });
      const stream = this.talk.chat(messages, {
        overflow: 'shift',
        ...sampling,
        maxNewTokens,
        ...(made.length > 0 && { made }),
        signal: abort.signal,
        onPrefill: (prefill) => current() && this.#set({ prefill }),
      });
      stream.result.catch(() => {}); // reported by the loop below
      for await (const { type, text } of stream.parts) {
        if (type === 'text') told += text;
        else if (type === 'reasoning') thought += text;
        this.prefill = null;
        show();
      }
      const result = await stream.result;
      const { finish, ids } = result;
      const whole = finish !== 'length' && finish !== 'aborted';
      const ended: Cut | null = whole ? null : { finish, ids: ids.length < made.length ? [...made] : ids };
      if (current()) this.#set({ result, memory: result.memory });
      this.#finish(current(), asked, answer(), ended, abort.signal);
    } catch (thrown) {
      const ids = isOld() ? (cut?.ids ?? null) : null;
      const ended: Cut | null = isSaid(answer()) || abort.signal.aborted ? { finish: 'aborted', ids } : null;
      this.#finish(current(), asked, answer(), ended, abort.signal);
      this.#fail(thrown, abort.signal);
    }
  }

  /** An answer stays, whole or cut; one that has not begun is dropped, and its question stays asked. */
  #finish(current: boolean, asked: ChatMessage[], answer: ChatMessage, cut: Cut | null, signal: AbortSignal): void {
    if (this.#abort?.signal === signal) this.#abort = null;
    if (current) Object.assign(this, { messages: isSaid(answer) ? [...asked, answer] : asked, cut, prefill: null });
    this.#set({ phase: this.#engine === null ? 'idle' : 'ready' });
    if (current && isSaid(answer)) this.#announce('message', answer);
  }

  #fail(thrown: unknown, signal?: AbortSignal): void {
    const error = asNibbleError(thrown);
    if (signal?.aborted && error.code === 'aborted') {
      this.#set({ error: null });
      return;
    }
    if (this.#engine !== null && FATAL.has(error.code)) {
      void this.#engine.dispose();
      this.#forgetEngine();
      this.#set({ phase: 'idle', info: null });
    }
    this.#set({ error });
    this.#announce('error', error);
  }

  #set(
    fields: Partial<
      Pick<
        ChatSession,
        | 'phase'
        | 'progress'
        | 'info'
        | 'memory'
        | 'messages'
        | 'cut'
        | 'closed'
        | 'prefill'
        | 'result'
        | 'error'
        | 'preview'
        | 'previous'
      >
    >,
  ): void {
    Object.assign(this, fields);
    this.dispatchEvent(new Event('change'));
  }

  #announce(type: 'progress' | 'ready' | 'message' | 'error', detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
