/**
 * What messages say, drawn: a question as it was written, an answer by blocks of Markdown. A finished message is drawn
 * once; what grows is read once a frame, and a long text over many frames.
 */
import { html, nothing } from 'lit';
import { guard } from 'lit/directives/guard.js';
import { formatSeconds } from '../format';
import { directionOf, longText, PIECE } from '../markdown/long-text';
import { StreamingMarkdown } from '../markdown/streaming-markdown';
import type { Say } from '../words/words';
import type { Turn } from './thread';

export class MessageBodies {
  /** something waits for the next frame */
  late = false;
  /** those that are whole, and do not change */
  #drawn = new WeakMap<object, unknown>();
  /**
   * null until the first message is here: only then is what reads Markdown fetched, and an answer is plain text until
   * then
   */
  #reader: StreamingMarkdown | null = null;
  /** of the last message: what scrolls into sight meanwhile does not make it begin anew */
  #growing: StreamingMarkdown | null = null;
  #fetching = false;
  /** how many characters may be read in this frame, so that no frame is long */
  #leave = { left: PIECE };
  #frame = 0;
  readonly #changed: () => void;

  /** @param changed told when more can be drawn */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Fetches what reads Markdown, when there is something to read. */
  async fetch(): Promise<void> {
    if (this.#fetching) return;
    this.#fetching = true;
    try {
      const { BoundedLexer } = await import('../markdown/bounded-lexer');
      this.#reader = new StreamingMarkdown(BoundedLexer);
      this.#growing = new StreamingMarkdown(BoundedLexer);
      this.#changed();
    } catch {
      // the next message tries again
      this.#fetching = false;
    }
  }

  /** Draws what is to be drawn from now on, in this order. */
  begin(): void {
    this.late = false;
  }

  /**
   * @param last the last message of all
   * @param streaming it grows
   * @param waits shown where nothing is said yet
   * @returns null: it waits for the next frame, as all answers that come after it
   */
  draw(turn: Turn, last: boolean, streaming: boolean, say: Say, language: string, waits: unknown): unknown {
    const { message } = turn;
    const before = this.#drawn.get(message);
    if (before) return before;
    const { role, content } = message;
    if (this.late && role !== 'user') return null;
    const text = turn.question ?? content;
    const drawn =
      role === 'user'
        ? html`<div class="user" part="user" dir=${directionOf(text)}>${files(turn)}${longText(text)}</div>`
        : this.#answer(turn, last, streaming, say, language, waits);
    if (streaming || (this.late && role !== 'user') || !this.#reader) return drawn;
    const once = guard([drawn], () => drawn);
    this.#drawn.set(message, once);
    return once;
  }

  #answer({ message, thoughtMs }: Turn, last: boolean, streaming: boolean, say: Say, language: string, waits: unknown) {
    const { content, reasoning_content: thought } = message;
    const leave = streaming && this.#leave.left < PIECE ? { left: 0 } : this.#leave;
    const reader = last ? this.#growing : this.#reader;
    const blocks = reader?.update(content, leave) ?? longText(content);
    this.late = reader?.behind ?? false;
    this.#frame ||= requestAnimationFrame(this.#nextFrame);
    const empty = streaming && content === '';
    const how = thoughtMs ? say('thoughtFor', { time: formatSeconds(thoughtMs / 1000, language) }) : say('thinking');
    return html`<div class="assistant" part="assistant" dir=${directionOf(content || thought || '')}>
      ${
        thought
          ? html`<details><summary class=${empty ? 'waiting' : ''}>${how}</summary><p class="thought">${longText(thought)}</p></details>`
          : nothing
      }
      ${blocks}
      ${empty && !thought ? waits : nothing}
    </div>`;
  }

  /** From the next frame on as much may be read again. */
  #nextFrame = () => {
    this.#frame = 0;
    this.#leave.left = PIECE;
    if (this.late) this.#changed();
  };
}

/** Files that went with a question: their names, until what shows which passages were sent is here. */
function files({ attached = [] }: Turn) {
  if (attached.length === 0) return nothing;
  void import('../attachments/used-files').catch(() => {});
  return html`<nibble-used-files .attached=${attached}
    ><ul class="files">${attached.map(({ name }) => html`<li>${name}</li>`)}</ul></nibble-used-files>`;
}
