/**
 * One conversation with one model, as a state that elements draw: what is loaded, what was said, what went wrong.
 * It knows the engine by its shape only, so tests drive it with a fake one. It is long because all that can be done
 * with a conversation meets here: loading, asking, answers that stop and go on, and other ways through what was said.
 */
import type { LoraInput } from '../../engine';
import { asNibbleError, NibbleError } from '../../errors';
import type {
  AnswerPart,
  ChatMessage,
  EngineOptions,
  GenerateResult,
  MemoryInfo,
  ModelInfo,
  ParsedCall,
  Prefill,
  Progress,
  SamplingOptions,
} from '../../protocol';
import type { ModelChoice } from '../models/model-choice';
import type { ChatEngine, LoadEngine, Talk } from './chat-engine';
import { type AnswerChange, type ChatSettings, samplingOf } from './chat-settings';
import { type Cut, isSaid } from './cut';
import type { ModelPreview } from './preview';
import {
  type Attached,
  alter,
  append,
  EMPTY_THREAD,
  newId,
  removeTurn,
  sayAgain,
  showTurn,
  type Thread,
  type Turn,
  wayOf,
} from './thread';

export type Phase = 'idle' | 'loading' | 'ready' | 'answering';

export interface SessionOptions {
  choice: ModelChoice;
  engine: EngineOptions;
  /**
   * without maxNewTokens, an answer gets ANSWER_TOKENS, or half the context where that is less; without overflow, a
   * chat that outgrows the context goes on, and the answer's note says what is no longer seen
   */
  sampling: SamplingOptions;
  /** first message of every conversation, not shown; a conversation's own settings go before it */
  system?: string;
}

/** What goes with a question. */
export interface Extra {
  /** files, as they are shown with it */
  attached?: readonly Attached[];
  /** what the model reads before the question: passages of the files */
  context?: string;
}

/** A question that waits for the model, or for the answer before it. */
export interface Waiting {
  readonly id: string;
  readonly question: string;
  readonly extra: Extra;
}

/** A question that would take minutes to read on this device: it waits for the person's word. */
export interface SlowQuestion {
  readonly id: string;
  readonly tokens: number;
  /** estimated, from how fast this device has read so far */
  readonly seconds: number;
}

/** What a hook says about a question: false, or a sentence: it is not sent; `context`: the model reads that first,
 * and `attached` is what is shown of its files. */
// biome-ignore lint/suspicious/noConfusingVoidType: a hook that says nothing returns nothing
export type Verdict = false | { refuse: string } | { context: string; attached?: readonly Attached[] } | void;

/** What the page around a session may do with it. */
export interface Hooks {
  /** before a question is sent; what it throws refuses it */
  beforeSend?(message: { question: string; extra: Extra }): Verdict | Promise<Verdict>;
  /** after each answer, whole or not */
  afterAnswer?(turn: Turn): void;
}

/** What was put away last. */
export interface Closed {
  messages: ChatMessage[];
  cut: Cut | null;
  thread: Thread;
  settings: ChatSettings;
}

const ANSWER_TOKENS = 256;

/** After these the worker, or what it held, is gone: the next try loads the model again. */
const FATAL = new Set(['device-lost', 'worker-failed', 'webgpu-unavailable']);

/** What takes longer to read is asked about first, s. */
const SLOW = 60;
/** Fewer tokens say nothing about how fast a device reads. */
const MEASURED = 32;
/** What finds loops is fetched after the first answer, or when that has so many characters. */
const LOOPS_FROM = 200;

/** What the page was left with is not known by its tokens. */
const STOPPED: Cut = { finish: 'aborted', ids: null };

type Fields =
  | 'phase'
  | 'progress'
  | 'info'
  | 'memory'
  | 'closed'
  | 'prefill'
  | 'ahead'
  | 'result'
  | 'error'
  | 'preview'
  | 'unloaded'
  | 'previous'
  | 'removed'
  | 'waiting'
  | 'calls'
  | 'slow';

/**
 * Dispatches 'change' whenever a field changes, and 'progress', 'ready', 'message', 'error' as they happen. 'thread':
 * something was said in the thread on show, or done with it. A thread that is opened is not announced, and what is left
 * of the one before it is, first: whoever keeps threads opens the next one, and then takes it for the one on show.
 */
export class ChatSession extends EventTarget {
  phase: Phase = 'idle';
  progress: Progress | null = null;
  info: ModelInfo | null = null;
  memory: MemoryInfo | null = null;
  /** what newChat() put away last, until something else is said */
  closed: Closed | null = null;
  /** how many messages remove() took away last, until something else is said */
  removed: number | null = null;
  /** how far the question has been read, while there is no answer to it yet */
  prefill: Prefill | null = null;
  /** answers of other tabs that come before this one's */
  ahead = 0;
  /** of the last finished answer */
  result: GenerateResult | null = null;
  error: NibbleError | null = null;
  /** what loading `choice` would cost; null while that is being found out */
  preview: ModelPreview | null = null;
  /** the person had the model taken out of memory: what is asked next loads it again, where it is on this device */
  unloaded = false;
  /** the model that made room for `choice`, while that is not loaded itself */
  previous: { choice: ModelChoice; preview: ModelPreview | null } | null = null;
  /** name of the saved cache that the next conversation with the engine begins with, and saves */
  saved?: string;
  /** the engine's side of the conversation; null before its first answer */
  talk: Talk | null = null;
  /** questions that were asked while none could be answered, in their order */
  waiting: readonly Waiting[] = [];
  /** the first of them, where it would take minutes: sendAnyway() or withdraw() */
  slow: SlowQuestion | null = null;
  /** tools that run for the answer under way */
  calls: readonly ParsedCall[] = [];
  hooks: Hooks = {};
  /** functions of the page around it, which answers may call */
  tools: NonNullable<Parameters<Talk['chat']>[1]>['tools'];

  #load: LoadEngine;
  #options: SessionOptions;
  #settings: ChatSettings = {};
  #engine: ChatEngine | null = null;
  #abort: AbortController | null = null;
  /** the person agreed to load this model where not all of it can be kept */
  #ifRoom = false;
  /** the load or the answer that is under way */
  #task: Promise<void> = Promise.resolve();
  #thread = EMPTY_THREAD;
  #way: Turn[] = [];
  #messages: ChatMessage[] = [];
  /** the answer that grows, while it belongs to the thread on show */
  #growing: string | null = null;
  #beforeRemoval: Thread | null = null;
  /** an answer that was asked for before there was a model to give it */
  #owed: AnswerChange | null = null;
  /** what waits goes on waiting */
  #held = 0;
  /** prompt tokens that this device reads in a second; 0: not known yet */
  #reads = 0;
  /** questions that the person wants answered however long it takes */
  #patient = new Set<string>();
  /** how waiting questions tell that they were answered, or will not be */
  #settled = new Map<string, () => void>();

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

  /** all that was said, in all ways. Setting it shows another thread, of the same conversation */
  get thread(): Thread {
    return this.#thread;
  }

  set thread(thread: Thread) {
    this.#show(thread);
    this.#set({});
  }

  /** the turns that are shown; while answering, the last one grows */
  get way(): readonly Turn[] {
    return this.#way;
  }

  /**
   * the conversation on show, without the system message; while answering, the last one grows. Whoever keeps what was
   * said may put it here before anything is asked
   */
  get messages(): ChatMessage[] {
    return this.#messages;
  }

  set messages(messages: ChatMessage[]) {
    this.#show(sayAgain(this.#thread, messages));
  }

  /** of the last message; null where it is whole. Without an answer, the question was stopped before there was one */
  get cut(): Cut | null {
    return this.#way.at(-1)?.cut ?? null;
  }

  set cut(cut: Cut | null) {
    const last = this.#way.at(-1);
    if (last) this.#show(alter(this.#thread, last.id, { cut }));
  }

  /** of this conversation; they count from the next answer on. Dispatches 'settings' when they are set */
  get settings(): ChatSettings {
    return this.#settings;
  }

  set settings(settings: ChatSettings) {
    this.#settings = settings;
    this.dispatchEvent(new Event('settings'));
    this.#set({});
  }

  /**
   * These LoRA adapters act from the next answer on, and no others. What was said is computed again.
   * @throws what the engine says of them; nothing changes then
   */
  async adapt(lora: readonly LoraInput[]): Promise<void> {
    const info = await this.#engine?.setLora?.(lora);
    if (info) this.#set({ info });
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
   * Loads the model; does nothing when it is loaded or loading. Failures end up in `error`. What waits is asked then.
   * @param asked the person has just asked for it: the browser is asked to keep it
   */
  async load(asked = false): Promise<void> {
    if (this.phase === 'idle') await this.#run(this.#loadNow(asked));
  }

  /** Loads another model in the place of this one; the conversation stays. The person has just asked for it. */
  async change(choice: ModelChoice, preview: ModelPreview | null): Promise<void> {
    const last = this.choice;
    const previous = this.#engine === null ? this.previous : { choice: last, preview: this.preview };
    this.#held++;
    try {
      await this.#rest();
      // whoever changed it meanwhile has the word
      if (this.choice !== last) return;
      await this.dispose();
      this.#options = { ...this.#options, choice };
      this.#ifRoom = false;
      // another model has other ids
      this.#show(byText(this.#thread));
      const closed = this.closed && {
        ...this.closed,
        cut: textOnly(this.closed.cut),
        thread: byText(this.closed.thread),
      };
      this.#set({ preview, result: null, error: null, previous, closed });
    } finally {
      this.#held--;
    }
    await this.load(true);
  }

  /** Takes the model out of memory, once what is under way is stopped; the conversation stays. */
  async unload(): Promise<void> {
    this.#held++;
    try {
      await this.#rest();
    } finally {
      this.#held--;
    }
    this.unloaded = true;
    await this.dispose();
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

  /**
   * Sends a question and streams the answer. While there is no model, or it answers another one, the question waits.
   * @returns when it is answered, refused or withdrawn
   */
  async ask(question: string, extra: Extra = {}): Promise<void> {
    if (question.trim() === '' && !extra.context) return;
    const { attached, context } = extra;
    const one: Waiting = { id: newId(), question: question.trim(), extra: { attached, context } };
    const settled = new Promise<void>((resolve) => this.#settled.set(one.id, resolve));
    // whoever asks has seen what went wrong before
    if (this.phase === 'ready') this.error = null;
    this.waiting = [...this.waiting, one];
    this.#next();
    if (this.waiting.includes(one)) this.#set({});
    this.#wake();
    await settled;
  }

  /** Takes a question back that waits. @returns it */
  withdraw(id: string): Waiting | null {
    const one = this.waiting.find((other) => other.id === id) ?? null;
    this.#set({ waiting: this.waiting.filter((other) => other !== one), ...(this.slow?.id === id && { slow: null }) });
    this.#settle(id);
    this.#next();
    return one;
  }

  /** The person would rather wait. */
  sendAnyway(id: string): void {
    this.#patient.add(id);
    if (this.slow?.id === id) this.#set({ slow: null });
    this.#next();
  }

  /** Stops the download or the answer that is under way; what was said so far stays. */
  stop(): void {
    this.#abort?.abort();
  }

  /** Goes on with the answer that was cut. */
  async continue(): Promise<void> {
    if (this.phase === 'ready' && this.cut) await this.#run(this.#answer(this.cut));
  }

  /** Answers a question once more, beside the answer that it has. @param id of the answer, or of the question */
  async answerAnew(id: string, change: AnswerChange = { anew: true }): Promise<void> {
    await this.#restThen(async () => {
      const turn = this.#thread.turns.find((other) => other.id === id);
      const question = turn?.message.role === 'user' ? turn.id : turn?.parent;
      if (!turn || !question) return;
      this.#said({ ...this.#thread, leaf: question });
      await this.#answerWhenReady(change);
    });
  }

  /** Says something else in the place of a message, beside it. An edited question is answered. */
  async edit(id: string, text: string): Promise<void> {
    await this.#restThen(async () => {
      const turn = this.#thread.turns.find((other) => other.id === id);
      if (!turn || text.trim() === '') return;
      const { message, parent, question = message.content, attached } = turn;
      // what was sent with the question stays
      const context = message.content.slice(0, message.content.length - question.length);
      const content = context + text.trim();
      if (content === message.content) return;
      const isQuestion = message.role === 'user';
      this.#said(
        append(this.#thread, {
          ...(turn.question !== undefined && { question: text.trim() }),
          ...(attached && { attached }),
          ...(!isQuestion && { model: turn.model, server: turn.server }),
          id: newId(),
          parent,
          message: { ...message, content },
          at: Date.now(),
        }),
      );
      if (!isQuestion) return;
      this.#announce('message', this.messages.at(-1));
      await this.#answerWhenReady();
    });
  }

  /** Shows the way through a turn: one that stands beside what is shown. */
  async show(id: string): Promise<void> {
    await this.#restThen(async () => this.#said(showTurn(this.#thread, id), this.removed));
  }

  /** Takes a message away, and all that followed it. undoRemove() brings it back, until something else is said. */
  async remove(id: string): Promise<void> {
    await this.#restThen(async () => {
      const before = this.#thread;
      const thread = removeTurn(before, id);
      if (thread === before) return;
      this.#said(thread, before.turns.length - thread.turns.length);
      this.#beforeRemoval = before;
    });
  }

  undoRemove(): void {
    if (this.removed !== null && this.#beforeRemoval) this.#said(this.#beforeRemoval);
  }

  /** Puts the conversation away, and gives back its memory; the model stays, or goes on loading. */
  newChat(): void {
    const { settings } = this;
    this.#leave();
    const closed = this.messages.length > 0 && {
      messages: this.messages,
      cut: this.cut,
      thread: this.#thread,
      settings,
    };
    this.#open(EMPTY_THREAD, settings);
    this.#set({ ...(closed && { closed }) });
  }

  /** Brings back what newChat() put away, until something else is said. The next answer computes it anew. */
  undoNewChat(): void {
    const { closed } = this;
    if (!closed || this.messages.length > 0) return;
    this.#settings = closed.settings;
    this.#show(closed.thread);
    this.#set({ closed: null, error: null });
  }

  /**
   * Puts another conversation in the place of this one. What is under way for this one is stopped, and kept in it with
   * what was still to be asked: its thread is announced a last time.
   * @param saved name of its saved cache
   */
  openThread(thread: Thread, { settings = {}, saved }: { settings?: ChatSettings; saved?: string } = {}): void {
    this.#leave();
    this.saved = saved;
    this.#open(thread, settings);
    this.#set({ closed: null });
  }

  /** After an error: loads again if need be, and answers the question that was left without an answer. */
  async retry(): Promise<void> {
    this.#set({ error: null });
    this.#held++;
    try {
      if (this.phase === 'idle') await this.load();
    } finally {
      this.#held--;
    }
    if (this.phase === 'ready' && this.messages.at(-1)?.role === 'user') await this.#run(this.#answer());
    else this.#next();
  }

  /** Puts an error on show that did not come from the engine. */
  report(error: NibbleError): void {
    this.#fail(error);
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
    this.#reads = 0;
    this.talk = null;
  }

  /** Tokens of a text, as the model that is here counts them. @returns null: none is here */
  readonly countTokens = async (text: string): Promise<number | null> =>
    (await this.#engine?.tokenize(text))?.length ?? null;

  /** Shows what is allocated now. */
  async #remember(): Promise<void> {
    const memory = await this.#engine?.memory();
    if (memory && this.phase === 'ready') this.#set({ memory });
  }

  #run(task: Promise<void>): Promise<void> {
    this.#task = task;
    return task;
  }

  /** Stops what is under way, and waits for its end. */
  async #rest(): Promise<void> {
    let task: Promise<void>;
    do {
      task = this.#task;
      this.stop();
      await task;
      // after a load, an answer may have begun
    } while (task !== this.#task);
  }

  /** Does something with the thread when no answer grows in it; what waits is asked after it. A load goes on. */
  async #restThen(action: () => Promise<void>): Promise<void> {
    this.#held++;
    try {
      if (this.phase === 'answering') await this.#rest();
    } finally {
      this.#held--;
    }
    await action();
    this.#next();
  }

  async #answerWhenReady(change: AnswerChange = {}): Promise<void> {
    if (this.phase === 'ready') await this.#run(this.#answer(null, change));
    else this.#owed = change;
    this.#wake();
  }

  /** Nobody waits for a model that need only be taken from this device. */
  #wake(): void {
    if (this.unloaded && this.preview?.here) void this.load();
  }

  /** Begins with what is to be done next, where nothing is under way: an answer that is owed, a question that waits. */
  #next(): void {
    if (this.phase !== 'ready' || this.#held > 0) return;
    const owed = this.#owed;
    this.#owed = null;
    if (owed && this.messages.at(-1)?.role === 'user') {
      void this.#run(this.#answer(null, owed));
      return;
    }
    const [one] = this.waiting;
    if (one && !this.error && one.id !== this.slow?.id) void this.#run(this.#askNow(one));
  }

  #settle(id: string): void {
    this.#settled.get(id)?.();
    this.#settled.delete(id);
  }

  /** Until the page around it has judged, the question waits, and can be taken back. */
  async #askNow(one: Waiting): Promise<void> {
    let extra: Extra | null = one.extra;
    if (this.hooks.beforeSend) extra = await this.#judge(one);
    if (extra !== null && this.#mayBeSlow(one, extra) && (await this.#isSlow(one, extra))) return;
    if (!this.waiting.includes(one)) return;
    if (extra !== null && this.phase !== 'ready') return;
    this.waiting = this.waiting.filter((other) => other !== one);
    if (extra !== null) {
      this.#say(one.question, extra);
      this.#announce('message', this.messages.at(-1));
      await this.#answer();
    } else this.#set({});
    this.#settle(one.id);
    this.#next();
  }

  /** A token has a character at least. */
  #mayBeSlow({ id, question }: Waiting, { context = '' }: Extra): boolean {
    return !this.#patient.has(id) && this.#reads > 0 && question.length + context.length > SLOW * this.#reads;
  }

  /** Where reading it takes minutes, the person is told first. */
  async #isSlow({ id, question }: Waiting, { context = '' }: Extra): Promise<boolean> {
    this.#held++;
    try {
      const tokens = (await this.countTokens(`${context}\n\n${question}`)) ?? 0;
      const seconds = tokens / this.#reads;
      if (seconds <= SLOW || !this.waiting.some((other) => other.id === id)) return false;
      this.#set({ slow: { id, tokens, seconds } });
      return true;
    } catch {
      // the answer will tell what is wrong
      return false;
    } finally {
      this.#held--;
    }
  }

  /** @returns what goes with the question; null: it is not sent */
  async #judge({ question, extra }: Waiting): Promise<Extra | null> {
    this.#held++;
    try {
      const verdict = await this.hooks.beforeSend?.({ question, extra });
      if (verdict === false) return null;
      if (verdict && 'refuse' in verdict) throw new NibbleError('invalid-option', verdict.refuse);
      if (!verdict) return extra;
      const { context, attached = extra.attached } = verdict;
      return { attached, context: [context, extra.context].filter(Boolean).join('\n\n') };
    } catch (thrown) {
      this.#fail(thrown);
      return null;
    } finally {
      this.#held--;
    }
  }

  /** Some templates refuse two questions in a row: one that was left without an answer gives way to the next. */
  #say(question: string, { attached, context }: Extra): void {
    const last = this.#way.at(-1);
    const parent = last?.message.role === 'user' ? last.parent : (last?.id ?? null);
    const content = context ? `${context}\n\n${question}` : question;
    const turn: Turn = {
      ...(context && { question }),
      ...(attached && attached.length > 0 && { attached }),
      id: newId(),
      parent,
      message: { role: 'user', content },
      at: Date.now(),
    };
    this.#show(append(this.#thread, turn));
    Object.assign(this, { closed: null, removed: null });
    this.dispatchEvent(new Event('thread'));
  }

  /** What is under way, and what waits, is kept in the thread that is left. */
  #leave(): void {
    const { waiting } = this;
    const answers = this.#growing !== null;
    if (answers) {
      this.stop();
      this.#keepGrown(STOPPED);
    }
    if (waiting.length > 0) {
      this.#say(waiting.map(({ question }) => question).join('\n\n'), {
        attached: waiting.flatMap(({ extra }) => extra.attached ?? []),
        context: waiting.flatMap(({ extra }) => extra.context ?? []).join('\n\n'),
      });
      this.cut = STOPPED;
      Object.assign(this, { waiting: [], slow: null });
      for (const { id } of waiting) this.#settle(id);
    }
    this.#owed = null;
    if (answers || waiting.length > 0) this.dispatchEvent(new Event('thread'));
  }

  #open(thread: Thread, settings: ChatSettings): void {
    void this.talk
      ?.close()
      .then(() => this.#remember())
      .catch(() => {});
    this.talk = null;
    this.#settings = settings;
    this.#show(thread);
    this.#set({ result: null, error: null, prefill: null, removed: null, calls: [] });
  }

  /** The thread on show; what is shown of it is found once. */
  #show(thread: Thread): void {
    this.#thread = thread;
    this.#way = wayOf(thread);
    this.#messages = this.#way.map(({ message }) => message);
  }

  /** Something was said, or done with what was. */
  #said(thread: Thread, removed: number | null = null): void {
    this.#show(thread);
    this.dispatchEvent(new Event('thread'));
    this.#set({ removed });
  }

  /** The answer under way belongs to the thread no more. Where it has not begun, its question stays asked. */
  #keepGrown(cut: Cut | null, more: Partial<Turn> = {}): Turn | null {
    const id = this.#growing;
    this.#growing = null;
    const turn = this.#thread.turns.find((other) => other.id === id);
    if (!turn) return null;
    if (isSaid(turn.message)) {
      this.#show(alter(this.#thread, turn.id, { ...more, cut }));
      return this.#thread.turns.find((other) => other.id === id) ?? null;
    }
    const { turns } = this.#thread;
    const thread = { turns: turns.filter((other) => other !== turn), leaf: turn.parent };
    this.#show(turn.parent === null ? thread : alter(thread, turn.parent, { cut, note: more.note }));
    return null;
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
      engine.onAhead = (ahead) => this.#set({ ahead });
      const kept = this.preview && {
        ...this.preview,
        here: this.preview.here || !info.storageReason,
        lastAttempt: undefined,
      };
      this.#set({ phase: 'ready', info, memory, preview: kept, previous: null, unloaded: false });
      this.#announce('ready', info);
      this.#next();
    } catch (thrown) {
      void engine?.dispose();
      this.#set({ phase: 'idle' });
      this.#fail(thrown, abort.signal);
    }
  }

  /** @param cut of an answer that is to go on */
  async #answer(cut: Cut | null = null, change: AnswerChange = {}): Promise<void> {
    const engine = this.#engine;
    if (engine === null) return;
    const abort = new AbortController();
    this.#abort = abort;
    const last = this.#way.at(-1);
    const before = cut && last?.message.role === 'assistant' ? last.message : null;
    const asked = before ? this.#messages.slice(0, -1) : this.#messages;
    const { sampling } = this.#options;
    const system = this.#settings.system ?? this.#options.system;
    const written = samplingOf(sampling, this.#settings, change, this.result);
    let thought = '';
    let told = '';
    let made: readonly number[] = [];
    const began = performance.now();
    let thoughtMs: number | undefined;
    // what goes on is told again from its beginning
    const [content, reasoning] = [before?.content ?? '', before?.reasoning_content ?? ''];
    const isOld = () => told.length <= content.length && thought.length <= reasoning.length;
    const answer = (): ChatMessage => {
      if (before && isOld()) return before;
      return { role: 'assistant', content: told, ...(thought && { reasoning_content: thought }) };
    };
    let thread = this.#thread;
    const id = before && last ? last.id : newId();
    if (before) thread = alter(thread, id, { cut: null });
    else {
      if (last?.cut) thread = alter(thread, last.id, { cut: null });
      const turn = { id, parent: last?.id ?? null, message: answer(), at: Date.now(), model: this.info?.name };
      thread = append(thread, turn);
    }
    this.#growing = id;
    // another conversation may have been opened in the place of this one: then this answer is nobody's any more
    const current = () => this.#growing === id;
    let looped = false;
    const watch = () => {
      const said = told || thought;
      if (!repeats(said)) return;
      looped = true;
      abort.abort();
    };
    const take = ({ type, text, call }: AnswerPart) => {
      if (type === 'text') told += text;
      else if (type === 'reasoning') thought += text;
      if (type === 'text' && thought) thoughtMs ??= performance.now() - began;
      if (!looped) watch();
      if (!current()) return;
      this.prefill = null;
      this.calls = call?.whole ? [...this.calls, call.whole] : type === 'tool-call' ? this.calls : [];
      this.#said(alter(this.#thread, id, { message: answer() }));
    };

    Object.assign(this, { phase: 'answering', error: null, result: null, progress: null, prefill: null });
    this.#said(thread);
    try {
      if (before) made = cut?.ids ?? (content && !reasoning ? await engine.tokenize(content) : []);
      const messages: ChatMessage[] = system ? [{ role: 'system', content: system }, ...asked] : asked;
      const room = Math.max(1, Math.floor((this.info?.options.maxContext ?? Infinity) / 2));
      const maxNewTokens = made.length + (written.maxNewTokens ?? Math.min(ANSWER_TOKENS, room));
      this.talk ??= engine.conversation(this.choice.server ? {} : { saved: this.saved });
      const stream = this.talk.chat(messages, {
        ...written,
        maxNewTokens,
        ...(made.length > 0 && { made }),
        ...(this.tools && { tools: this.tools }),
        signal: abort.signal,
        onPrefill: (prefill) => current() && this.#set({ prefill }),
      });
      stream.result.catch(() => {}); // reported by the loop below
      for await (const part of stream.parts) take(part);
      const result = await stream.result;
      const { ids, stats, note } = result;
      const finish = looped && result.finish === 'aborted' ? 'loop' : result.finish;
      const whole = finish === 'stop' || finish === 'tool-calls';
      const ended: Cut | null = whole ? null : { finish, ids: ids.length < made.length ? [...made] : ids };
      if (stats.promptTokens - stats.reusedTokens >= MEASURED) this.#reads = stats.prefillTps;
      const server = result.source === 'server' && this.info ? { server: serverOf(this.info) } : {};
      if (current()) Object.assign(this, { result, memory: result.memory });
      this.#finish(current(), ended, abort.signal, { stats, note, ...server, ...(thoughtMs && { thoughtMs }) });
    } catch (thrown) {
      const ids = isOld() ? (cut?.ids ?? null) : null;
      const ended: Cut | null = isSaid(answer()) || abort.signal.aborted ? { finish: 'aborted', ids } : null;
      this.#finish(current(), ended, abort.signal);
      this.#fail(thrown, abort.signal);
    }
    this.#next();
  }

  /** An answer stays, whole or cut; one that has not begun is dropped, and its question stays asked. */
  #finish(current: boolean, cut: Cut | null, signal: AbortSignal, more: Partial<Turn> = {}): void {
    if (this.#abort?.signal === signal) this.#abort = null;
    const turn = current ? this.#keepGrown(cut, more) : null;
    const phase = this.#engine === null ? 'idle' : 'ready';
    Object.assign(this, { phase, ...(current && { prefill: null, calls: [] }) });
    if (current) this.#said(this.#thread);
    else this.#set({});
    if (turn === null) return;
    void fetchDetector();
    this.#announce('message', turn.message);
    this.hooks.afterAnswer?.(turn);
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

  #set(fields: Partial<Pick<ChatSession, Fields>>): void {
    Object.assign(this, fields);
    this.dispatchEvent(new Event('change'));
  }

  #announce(type: 'progress' | 'ready' | 'message' | 'error', detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** The host of the server that answers, as info() tells it, or else what it calls its model. */
function serverOf({ name, sourceReason }: ModelInfo): string {
  const address = /https?:\/\/[^\s)]+/.exec(sourceReason)?.[0];
  return address && URL.canParse(address) ? new URL(address).host : name;
}

let fetched = false;
let loopAt: typeof import('./loop-detector').loopAt | null = null;

async function fetchDetector(): Promise<void> {
  if (fetched) return;
  fetched = true;
  try {
    ({ loopAt } = await import('./loop-detector'));
  } catch {
    // the next answer tries again
    fetched = false;
  }
}

/** Whether an answer repeats itself. */
function repeats(text: string): boolean {
  if (text.length > LOOPS_FROM) void fetchDetector();
  return (loopAt?.(text) ?? null) !== null;
}

const textOnly = (cut: Cut | null): Cut | null => cut && { ...cut, ids: null };

/** Answers that are not whole, as another model knows them. */
function byText(thread: Thread): Thread {
  return { ...thread, turns: thread.turns.map((turn) => (turn.cut ? { ...turn, cut: textOnly(turn.cut) } : turn)) };
}
