/** The messages of one conversation, kept in step with the answers. */
import { NibbleError } from '../errors';
import type { ChatMessage } from '../protocol';
import type { Answer } from './answer';
import type { GenerateOptions } from './engine';

interface Chats {
  chat(messages: readonly ChatMessage[], options?: GenerateOptions): Answer;
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
    const answer = this.#engine.chat([...this.messages, question], options);
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
}
