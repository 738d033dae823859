/** One conversation: a cache of its own on the device, and the messages, kept in step with the answers. */
import { NibbleError } from '../errors';
import type { ChatMessage } from '../protocol';
import type { Answer } from './answer';
import type { GenerateOptions } from './engine';

/** What a conversation needs of the engine. */
export interface Chats {
  chat(messages: readonly ChatMessage[], options?: GenerateOptions): Answer;
  /** Frees the cache. */
  close(): Promise<void>;
}

export class Conversation {
  readonly messages: ChatMessage[] = [];
  readonly #engine: Chats;
  #busy = false;

  constructor(engine: Chats, system?: string) {
    this.#engine = engine;
    if (system) this.messages.push({ role: 'system', content: system });
  }

  /**
   * Asks, and keeps question and answer; an answer that was stopped is kept as far as it came, and of a failed one
   * nothing is kept. @throws invalid-option while another answer is under way
   */
  ask(content: string, options: GenerateOptions = {}): Answer {
    if (this.#busy) throw new NibbleError('invalid-option', 'An answer is under way: wait for it, or stop it.');
    const question: ChatMessage = { role: 'user', content };
    const answer = this.chat([...this.messages, question], options);
    this.#busy = true;
    // first to hear of the end, so that whoever awaits it may ask again at once
    answer.result.then(
      ({ text }) => {
        this.messages.push(question, { role: 'assistant', content: text });
        this.#busy = false;
      },
      () => {
        this.#busy = false;
      },
    );
    return answer;
  }

  /**
   * Answers the last of these messages, for who keeps the messages: edited ones, or the same ones once more. What they
   * share with what this conversation's cache holds is not computed again.
   */
  chat(messages: readonly ChatMessage[], options: GenerateOptions = {}): Answer {
    return this.#engine.chat(messages, options);
  }

  /** Frees the cache, when the answer under way is done. Asking again afterwards computes everything anew. */
  close(): Promise<void> {
    return this.#engine.close();
  }
}
