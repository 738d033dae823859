/**
 * The engine that has a server and this device. Each answer is one's or the other's from its first piece to its last:
 * the other is asked only where the first one failed before it said a word, or called a tool.
 */
import {
  type Answer,
  AnswerQueue,
  type BatchInput,
  type BatchOptions,
  type GenerateOptions,
  type Push,
} from '../engine/answer';
import { messagesOf } from '../engine/arguments';
import { beginBatch } from '../engine/ask';
import { said } from '../engine/asked-input';
import { type Chats, type ChatTemplateOptions, Conversation, type ConversationOptions } from '../engine/conversation';
import { disposable } from '../engine/disposable';
import type { Engine, EngineTokenizer } from '../engine/engine';
import { stoppedBy } from '../engine/stoppable';
import { asNibbleError, NibbleError } from '../errors';
import { CONVERSATION_OPTIONS, GENERATE_OPTIONS } from '../options/load';
import { checkOptions, over } from '../options/spec';
import type {
  AnswerSource,
  Embeddings,
  GenerateResult,
  MemoryInfo,
  MessageInput,
  ModelInfo,
  PlanInfo,
  PromptOptions,
  Ranking,
  TextScore,
} from '../protocol';
import type { Device } from './device';
import { tokenizerOf } from './engine-tokenizer';
import { unsupported } from './server-errors';

export type Mode = 'device-first' | 'server-first';
type Prompt = Parameters<Engine['generate']>[0];

/** Codes of a device that does not come back: HeldModel has loaded the model again, and lost it once more. */
const LOST = ['device-lost', 'worker-failed'];

export class EitherEngine implements Engine {
  /** dispose(), for `using` */
  declare [Symbol.dispose]: () => void;
  /** dispose(), for `await using` */
  declare [Symbol.asyncDispose]: () => void;
  readonly #server: Engine;
  readonly #device: Device;
  readonly #mode: Mode;
  #disposed = false;
  /** why the device took over last, where the server goes first */
  #takenOver: string | null = null;

  constructor(server: Engine, device: Device, mode: Mode) {
    this.#server = server;
    this.#device = device;
    this.#mode = mode;
  }

  chat(messages: readonly MessageInput[], options: GenerateOptions = {}): Answer {
    const list = said(() => messagesOf(messages));
    return this.#begin(async (engine, options) => engine.chat(await list(), options), options);
  }

  generate(prompt: Prompt, options: GenerateOptions = {}): Answer {
    const copy = Array.isArray(prompt) ? [...prompt] : prompt;
    return this.#begin((engine, options) => engine.generate(copy, options), options);
  }

  batch(inputs: readonly BatchInput[], options: BatchOptions = {}): Answer[] {
    return beginBatch(inputs, options, (input, each, parallel) =>
      this.#begin(async (engine, options) => {
        const asked = await input();
        const one = 'messages' in asked ? asked.messages : 'ids' in asked ? asked.ids : asked.prompt;
        return engine.batch([one], { ...options, parallel })[0];
      }, each),
    );
  }

  conversation(options: ConversationOptions = {}): Conversation {
    const checked = checkOptions<ConversationOptions>(CONVERSATION_OPTIONS, options);
    const messages = messagesOf(checked.messages ?? []);
    const { system: _, messages: __, saved, maxContext, ...always } = checked;
    return new Conversation(this.#chats(always, { saved, maxContext }), { ...checked, messages });
  }

  /** @param own what only the device's conversation has */
  #chats(always: GenerateOptions, own: Pick<ConversationOptions, 'saved' | 'maxContext'>, from?: Conversation): Chats {
    let talk: Conversation | null = null;
    let talksTo: Engine | null = null;
    /** the device's own conversation, which has the cache */
    const deviceTalk = (engine: Engine): Conversation => {
      if (!talk || talksTo !== engine) talk = from?.clone() ?? engine.conversation(own);
      talksTo = engine;
      return talk;
    };
    const here = (what: string) => deviceTalk(this.#here(what));
    return {
      chat: (messages, options) => {
        const all = options === undefined || typeof options === 'object' ? over(always, options) : options;
        return this.#begin(async (engine, options) => {
          const list = messagesOf(await messages());
          return engine === this.#server ? engine.chat(list, options) : deviceTalk(engine).chat(list, options);
        }, all);
      },
      plan: async (query) => here('plan()').plan(query),
      prompt: async (messages, options) => {
        const ids = (await this.#reader().applyChatTemplate(messages, { ...options, tokenize: true })) as number[];
        const { engine } = this.#device;
        return { text: engine ? await engine.applyChatTemplate(messages, options) : '', ids };
      },
      close: async () => talk?.dispose(),
      save: async (_, signal) => here('saved cache').save({ signal }),
      restore: async () => here('saved cache').restore(),
      clone: () => this.#chats(always, { maxContext: own.maxContext }, talk ?? undefined),
      number: 0,
    };
  }

  async setLora(...all: Parameters<Engine['setLora']>): Promise<ModelInfo> {
    return this.#here('setLora()').setLora(...all);
  }

  async plan(...all: Parameters<Engine['plan']>): Promise<PlanInfo> {
    return this.#here('plan()').plan(...all);
  }

  async rerank(...all: Parameters<Engine['rerank']>): Promise<Ranking> {
    return this.#here('rerank()').rerank(...all);
  }

  async score(...all: Parameters<Engine['score']>): Promise<TextScore[]> {
    return this.#here('score()').score(...all);
  }

  async memory(): Promise<MemoryInfo> {
    return (this.#device.engine ?? this.#server).memory();
  }

  /** By who would answer now; vectors of two models cannot be compared. */
  async embed(...all: Parameters<Engine['embed']>): Promise<Embeddings> {
    return this.#first().embed(...all);
  }

  async countTokens(messages: readonly MessageInput[], options?: PromptOptions): Promise<number> {
    return this.#reader().countTokens(messages, options);
  }

  applyChatTemplate(messages: readonly MessageInput[], options?: PromptOptions & { tokenize?: false }): Promise<string>;
  applyChatTemplate(messages: readonly MessageInput[], options: ChatTemplateOptions): Promise<string | number[]>;
  async applyChatTemplate(
    messages: readonly MessageInput[],
    options: ChatTemplateOptions = {},
  ): Promise<string | number[]> {
    return this.#reader().applyChatTemplate(messages, options);
  }

  async tokenize(text: string, options?: { special?: boolean }): Promise<number[]> {
    return this.#reader().tokenize(text, options);
  }

  async detokenize(ids: readonly number[]): Promise<string> {
    return this.#reader().detokenize(ids);
  }

  get tokenizer(): EngineTokenizer {
    return tokenizerOf(this);
  }

  /** Of who would answer now, and why that is. */
  async info(): Promise<ModelInfo> {
    const first = this.#first();
    const info = await first.info();
    const ofDevice = first !== this.#server;
    const byMode = this.#mode === 'device-first' ? this.#device.reason : 'The server answers first.';
    const sourceReason = ofDevice ? 'The model is on this device.' : [byMode, this.#takenOver ?? []].flat().join(' ');
    return { ...info, sourceReason };
  }

  dispose(): void {
    this.#disposed = true;
    this.#server.dispose();
    this.#device.dispose();
  }

  /** Who is asked first. */
  #first(): Engine {
    if (this.#mode === 'server-first') return this.#server;
    // once more, where the network broke off the download
    if (!this.#device.engine) void this.#device.start();
    return this.#device.engine ?? this.#server;
  }

  /** Whose tokenizer is asked: the device's, where it is here, and so nothing is sent. */
  #reader(): Engine {
    return this.#device.engine ?? this.#server;
  }

  /** @throws unsupported-remote where the model is not here */
  #here(what: string): Engine {
    const { engine, reason } = this.#device;
    if (engine) return engine;
    throw unsupported(what, `It needs the model on this device. ${reason}`);
  }

  /**
   * Who is asked after a failure before the first word; null: nobody.
   * @param first who failed
   * @throws the server's failure, with the device's reason, where the device cannot take over
   */
  async #second(first: Engine, error: NibbleError): Promise<Engine | null> {
    if (this.#disposed) return null;
    if (first !== this.#server) return LOST.includes(error.code) ? this.#server : null;
    if (this.#mode !== 'server-first' || error.code !== 'network') return null;
    const engine = this.#device.engine ?? (await this.#device.start());
    if (engine) {
      this.#takenOver = `It failed before the first token, and this device answered: ${error.message}`;
      return engine;
    }
    const { code, message, details, cause } = error;
    throw new NibbleError(code, `${message} ${this.#device.reason}`, details, { cause });
  }

  #begin(
    ask: (engine: Engine, options: GenerateOptions) => Answer | Promise<Answer>,
    options: GenerateOptions,
  ): Answer {
    const stopping = new AbortController();
    const start = async (push: Push): Promise<GenerateResult> => {
      // who made it can be told who answers
      await null;
      const checked = checkOptions<GenerateOptions>(GENERATE_OPTIONS, options);
      const asked = { ...options, signal: stopping.signal };
      const from = async (engine: Engine) => this.#from(engine, await ask(engine, asked), push, answer);
      return stoppedBy(checked.signal, stopping, async () => {
        const first = this.#first();
        try {
          return await from(first);
        } catch (error) {
          const open = answer.source === null && !stopping.signal.aborted;
          const second = open ? await this.#second(first, asNibbleError(error)) : null;
          if (!second) throw error;
          return from(second);
        }
      });
    };
    const answer = new AnswerQueue(start, stopping, () => 0, null);
    return answer;
  }

  /** Passes an answer on. */
  async #from(engine: Engine, asked: Answer, push: Push, answer: AnswerQueue): Promise<GenerateResult> {
    const source: AnswerSource = engine === this.#server ? 'server' : 'device';
    try {
      for await (const { type, text, call, logprobs } of asked.parts) {
        answer.source = source;
        push(type, text, { call, logprobs });
      }
      const result = await asked.result;
      answer.source = source;
      return result;
    } catch (error) {
      // the model was loaded again after the first loss: this is the second
      if (source === 'device' && LOST.includes((error as NibbleError).code)) this.#device.giveUp(error as NibbleError);
      throw error;
    }
  }
}

disposable(EitherEngine.prototype);
