/** What has been added to the answer under way, since it was looked at last. */
import type { ChatMessage } from '../protocol';
import type { NibbleToken } from './element';

export class Told {
  #content = 0;
  #reasoning = 0;
  #answering = false;

  /**
   * @param answering whether the last message is an answer under way
   * @returns what is new of it, in order. Of one that goes on, what was there before is not
   */
  next(answering: boolean, message: ChatMessage | undefined): NibbleToken[] {
    const { content = '', reasoning_content = '' } = message ?? {};
    const begins = answering && !this.#answering;
    this.#answering = answering;
    const pieces: NibbleToken[] = [];
    if (answering && !begins && message?.role === 'assistant') {
      const [thought, text] = [reasoning_content.slice(this.#reasoning), content.slice(this.#content)];
      if (thought) pieces.push({ type: 'reasoning', text: thought });
      if (text) pieces.push({ type: 'text', text });
    }
    [this.#content, this.#reasoning] = [content.length, reasoning_content.length];
    return pieces;
  }
}
