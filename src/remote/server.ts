/** What is known of a server: the models that it lists, its kind, and its tokenizer, where it has one. */
import { NibbleError } from '../errors';
import { isObject } from '../options/spec';
import type { MessageInput, PromptOptions } from '../protocol';
import type { Ask, Connection } from './connection';
import { unsupported } from './server-errors';
import { kindOf, type ServerKind } from './server-kinds';

const TOKENIZER = 'tokenizer';

export class Server {
  readonly #connection: Connection;
  readonly #signal: AbortSignal;
  #listed: Promise<Record<string, unknown>> | null = null;

  /** @param signal when nobody asks any more */
  constructor(connection: Connection, signal: AbortSignal) {
    this.#connection = connection;
    this.#signal = signal;
  }

  /**
   * What /models says of the model; {} where it says nothing. It is asked once, and again where that failed.
   * @throws network
   */
  listed(): Promise<Record<string, unknown>> {
    if (this.#listed) return this.#listed;
    const asked = this.#list();
    asked.catch(() => {
      this.#listed = null;
    });
    this.#listed = asked;
    return asked;
  }

  async #list(): Promise<Record<string, unknown>> {
    try {
      const answer = await this.#connection.json('/models', { signal: this.#signal, optional: 'list of models' });
      const models = isObject(answer) && Array.isArray(answer.data) ? answer.data.filter(isObject) : [];
      return models.find(({ id }) => id === this.#connection.model) ?? models[0] ?? {};
    } catch (error) {
      if (error instanceof NibbleError && error.code === 'unsupported-remote') return {};
      throw error;
    }
  }

  /** @throws network */
  async kind(): Promise<ServerKind> {
    return kindOf((await this.listed()).owned_by);
  }

  /** @throws unsupported-remote where the server has no tokenizer */
  async tokenize(text: string, special: boolean, signal?: AbortSignal): Promise<number[]> {
    // as vLLM and SGLang ask for it, and as llama-server does
    const theirs = { prompt: text, add_special_tokens: false };
    const body = { ...theirs, content: text, add_special: false, parse_special: special };
    return tokensOf(await this.#beside('/tokenize', body, signal));
  }

  /** @throws unsupported-remote where the server has no tokenizer */
  async detokenize(ids: readonly number[], signal?: AbortSignal): Promise<string> {
    const answer = await this.#beside('/detokenize', { tokens: ids }, signal);
    // vLLM, llama-server, SGLang
    const text = answer.prompt ?? answer.content ?? answer.text;
    if (typeof text !== 'string') throw unsupported(TOKENIZER, 'The server answered with no text.');
    return text;
  }

  /** The prompt of these messages, as ids. @throws unsupported-remote where the server does not tell */
  async promptIds(messages: readonly MessageInput[], options: PromptOptions, signal?: AbortSignal): Promise<number[]> {
    const { tools, templateOptions, addGenerationPrompt = true, continueFinalMessage = false } = options;
    const body = {
      messages,
      ...(tools && { tools }),
      chat_template_kwargs: templateOptions,
      add_generation_prompt: addGenerationPrompt,
      continue_final_message: continueFinalMessage,
    };
    if ((await this.kind()).name !== 'llama-server') return tokensOf(await this.#beside('/tokenize', body, signal));
    return this.tokenize(await this.promptText(messages, options, signal), true, signal);
  }

  /** The same as text. @throws unsupported-remote where the server does not tell, as all but llama-server */
  async promptText(messages: readonly MessageInput[], options: PromptOptions, signal?: AbortSignal): Promise<string> {
    const { tools, templateOptions } = options;
    const body = { messages, ...(tools && { tools }), chat_template_kwargs: templateOptions };
    const { prompt } = await this.#beside('/apply-template', body, signal, 'chat template that can be asked');
    return typeof prompt === 'string' ? prompt : '';
  }

  async #beside(
    path: string,
    body: object,
    signal?: AbortSignal,
    optional = TOKENIZER,
  ): Promise<Record<string, unknown>> {
    const ask: Ask = { body: { model: this.#connection.model, ...body }, signal, optional, beside: true };
    const answer = await this.#connection.json(path, ask);
    return isObject(answer) ? answer : {};
  }
}

function tokensOf({ tokens }: Record<string, unknown>): number[] {
  if (Array.isArray(tokens) && tokens.every((id) => typeof id === 'number')) return tokens;
  throw unsupported(TOKENIZER, 'The server answered with no token ids.');
}
