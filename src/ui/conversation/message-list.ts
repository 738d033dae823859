import { css, html, LitElement, nothing } from 'lit';
import { property } from 'lit/decorators.js';
import { guard } from 'lit/directives/guard.js';
import type { ChatMessage, Prefill } from '../../protocol';
import { defineElement } from '../define-element';
import { directionOf, longText, PIECE } from '../markdown/long-text';
import { DEEPEST, StreamingMarkdown } from '../markdown/streaming-markdown';
import { theme } from '../theme';

/** How near to its end the list must be for new text to pull it along, px. */
const NEAR_END = 80;

/** Tokens of a question that are read before anyone would look at a number. */
const READ_AT_ONCE = 64;

/**
 * The conversation. It is a log that stays quiet while text streams in; when an answer is complete, a status line that
 * only screen readers meet says so. What is slotted stands below the last message.
 */
export class MessageList extends LitElement {
  @property({ attribute: false }) messages: readonly ChatMessage[] = [];
  @property({ type: Boolean }) busy = false;
  /** how far the last question has been read, while it has no answer */
  @property({ attribute: false }) prefill: Prefill | null = null;

  static override styles = [
    theme,
    css`
      :host {
        display: block;
        /* what is unseen scrolls with the rest, and does not make the document longer */
        position: relative;
        overflow-y: auto;
        overscroll-behavior: contain;
      }
      .log {
        padding: 0.25rem 0 1.5rem;
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 1.5rem;
      }
      .log > * {
        overflow-wrap: anywhere;
      }
      .user {
        justify-self: end;
        max-width: 85%;
        padding: 0.6rem 1rem;
        border-radius: var(--_radius);
        border-bottom-right-radius: 4px;
        background: var(--_surface);
        white-space: pre-wrap;
      }
      .piece {
        white-space: pre-wrap;
        content-visibility: auto;
        contain-intrinsic-size: auto 60rem;
      }
      .assistant > :first-child {
        margin-top: 0;
      }
      .assistant > :last-child,
      .assistant > div:last-child > :last-child {
        margin-bottom: 0;
      }
      h1,
      h2,
      h3,
      h4,
      h5,
      h6 {
        font-size: 1.05em;
        line-height: 1.3;
        margin: 1.2em 0 0.5em;
      }
      p,
      ul,
      ol,
      pre,
      blockquote,
      table {
        margin: 0.7em 0;
      }
      ul,
      ol {
        padding-left: 1.4em;
      }
      li + li {
        margin-top: 0.25em;
      }
      code {
        font: 0.9em var(--_mono);
        background: var(--_surface);
        border-radius: 5px;
        padding: 0.1em 0.35em;
      }
      pre {
        overflow-x: auto;
        padding: 0.9rem 1rem;
        border-radius: var(--_radius);
        background: var(--_surface);
      }
      pre code {
        background: none;
        padding: 0;
      }
      blockquote {
        margin-inline: 0;
        padding-left: 1em;
        border-left: 3px solid var(--_border);
        color: var(--_muted);
      }
      table {
        display: block;
        overflow-x: auto;
        border-collapse: collapse;
      }
      th,
      td {
        text-align: left;
        padding: 0.3em 0.8em 0.3em 0;
        border-bottom: 1px solid var(--_border);
      }
      a {
        color: var(--_accent);
      }
      details {
        color: var(--_muted);
        margin-bottom: 0.7em;
      }
      summary {
        cursor: pointer;
        width: fit-content;
        border-radius: 4px;
      }
      .thought {
        padding-left: 1em;
        border-left: 3px solid var(--_border);
        white-space: pre-wrap;
      }
      .waiting::after {
        content: '';
        display: inline-block;
        margin-left: 0.4em;
        width: 0.55em;
        height: 0.55em;
        border-radius: 50%;
        background: var(--_accent);
        animation: breathe 1.1s ease-in-out infinite alternate;
      }
      @keyframes breathe {
        from {
          opacity: 0.25;
        }
      }
    `,
  ];

  /** those that are whole, and do not change */
  #drawn = new WeakMap<ChatMessage, unknown>();
  /**
   * null until the first message is here: only then is what reads Markdown fetched, and an answer is plain text until
   * then
   */
  #streaming: StreamingMarkdown | null = null;
  #fetching = false;
  /** how many characters may be read in this frame, so that no frame is long */
  #leave = { left: PIECE };
  /** something waits for the next frame */
  #late = false;
  #frame = 0;
  #status = '';
  #follow = true;
  #top = 0;
  /** what is below it comes and goes, a phone's keyboard too */
  #resized = new ResizeObserver(() => this.#toEnd());

  override connectedCallback() {
    super.connectedCallback();
    this.#resized.observe(this);
    this.onscroll = () => {
      const { scrollTop } = this;
      // a list that has become smaller is further from its end, too, without anyone having scrolled
      const stays = this.#follow && scrollTop >= this.#top;
      this.#follow = stays || this.scrollHeight - scrollTop - this.clientHeight < NEAR_END;
      this.#top = scrollTop;
    };
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.#resized.disconnect();
  }

  #toEnd() {
    if (this.#follow) this.scrollTop = this.scrollHeight;
  }

  async #fetchMarkdown() {
    this.#fetching = true;
    try {
      const { BoundedLexer } = await import('../markdown/bounded-lexer');
      this.#streaming = new StreamingMarkdown((text) => new BoundedLexer(DEEPEST).lex(text));
      this.requestUpdate();
    } catch {
      // the next message tries again
      this.#fetching = false;
    }
  }

  override willUpdate(changed: Map<string, unknown>) {
    const last = this.messages.at(-1);
    if (last && changed.has('messages') && !this.#fetching) void this.#fetchMarkdown();
    if (changed.has('busy') && !this.busy && changed.get('busy') === true && last?.role === 'assistant') {
      this.#status = `Answer finished, ${last.content.split(/\s+/).length} words.`;
    } else if (this.busy) this.#status = '';
  }

  override updated() {
    this.#toEnd();
  }

  /** From the next frame on as much may be read again. */
  #nextFrame = () => {
    this.#frame = 0;
    this.#leave.left = PIECE;
    if (this.#late) this.requestUpdate();
  };

  /** A finished message is drawn once. Nothing stands below one that waits for the next frame. */
  #message(message: ChatMessage, streaming: boolean): unknown {
    const before = this.#drawn.get(message);
    if (before) return before;
    if (this.#late) return nothing;
    const drawn =
      message.role === 'user'
        ? html`<div class="user" part="user" dir=${directionOf(message.content)}>${longText(message.content)}</div>`
        : this.#answer(message, streaming);
    if (streaming || this.#late || !this.#streaming) return drawn;
    const once = guard([drawn], () => drawn);
    this.#drawn.set(message, once);
    return once;
  }

  /** By block; what grows is read once a frame. */
  #answer({ content, reasoning_content: thought }: ChatMessage, streaming: boolean) {
    const leave = streaming && this.#leave.left < PIECE ? { left: 0 } : this.#leave;
    const blocks = this.#streaming?.update(content, leave) ?? longText(content);
    this.#late = this.#streaming?.behind ?? false;
    this.#frame ||= requestAnimationFrame(this.#nextFrame);
    const waits = streaming && content === '';
    return html`<div class="assistant" part="assistant" dir=${directionOf(content || thought || '')}>
      ${
        thought
          ? html`<details><summary class=${waits ? 'waiting' : ''}>Thinking</summary><p class="thought">${longText(thought)}</p></details>`
          : nothing
      }
      ${blocks}
      ${waits && !thought ? this.#waiting() : nothing}
    </div>`;
  }

  /** A question that takes one step is not worth a number. */
  #waiting() {
    const { done, total } = this.prefill ?? { done: 0, total: 0 };
    const read = total > READ_AT_ONCE && done < total;
    return html`<div class="waiting muted">${read ? `Reading: ${done} of ${total} tokens` : nothing}</div>`;
  }

  override render() {
    const last = this.messages.length - 1;
    this.#late = false;
    return html`
      <div class="log" role="log" tabindex="0" aria-label="Conversation" aria-live="off" aria-busy=${this.busy}>
        ${this.messages.map((message, index) => this.#message(message, this.busy && index === last))}
        <slot></slot>
      </div>
      <div class="unseen" role="status">${this.#status}</div>
    `;
  }
}

defineElement('nibble-messages', MessageList);
