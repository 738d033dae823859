/**
 * The messages of a conversation, in a list that scrolls. It is long because one scroll position is shared by all that
 * it does: text that grows, messages that come into sight, the focus that goes from one to the next.
 */
import { css, html, nothing } from 'lit';
import { property, state } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import type { ChatMessage, Prefill } from '../../protocol';
import { defineElement } from '../define-element';
import { formatSeconds } from '../format';
import { directionOf, longText } from '../markdown/long-text';
import { prose } from '../markdown/prose';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import type { Act } from './message-bar';
import { MessageBodies } from './message-bodies';
import type { Sentences } from './sentences';
import type { SlowQuestion, Waiting } from './session';
import { siblingsOf, type Thread, type Turn } from './thread';
import { estimatedHeight, type Range, rangeAt } from './window';

/** How near to its end the list must be for new text to pull it along, px. */
const NEAR_END = 80;

/** Tokens of a question that are read before anyone would look at a number. */
const READ_AT_ONCE = 64;

/** Reading has a speed after so long, ms. */
const READ_MS = 500;

/** How often the list is drawn anew at once, because messages are higher or lower than was estimated. */
const TRIES = 5;

/** How often new sentences are spoken while an answer grows, ms; in a longer text only its end is. */
const SPEAK_MS = 1000;
const SPOKEN = 20_000;
/** What finds sentences is fetched after the first answer, or when that has so many characters. */
const SPOKEN_FROM = 200;

/**
 * The conversation. Of many messages only those that are seen, and some around them, are in the document. It is a log
 * that stays quiet while text streams in; a status line that only screen readers meet says its finished sentences, and
 * at the end what came of it. What is slotted stands below the last message. The arrow keys go from one message to the
 * next, and Tab to what can be done with it. Events: `act` (Act), `withdraw` (id).
 */
export class MessageList extends SpokenElement {
  /** those that are shown */
  @property({ attribute: false }) turns: readonly Turn[] = [];
  /** all of them, for those that stand beside others */
  @property({ attribute: false }) thread: Thread | null = null;
  @property({ type: Boolean }) busy = false;
  /** what is shown is not changed here */
  @property({ type: Boolean }) readonly = false;
  /** how far the last question has been read, while it has no answer */
  @property({ attribute: false }) prefill: Prefill | null = null;
  /** questions that are still to be asked */
  @property({ attribute: false }) waiting: readonly Waiting[] = [];
  /** one of them that would take minutes. Event: `anyway` (id) */
  @property({ attribute: false }) slow: SlowQuestion | null = null;
  @state() private editing: string | null = null;
  /** the end is out of sight */
  @state() private away = false;
  /** the message whose actions the Tab key reaches; null: the last one's */
  @state() private current: string | null = null;

  static override styles = [
    theme,
    prose,
    css`
      :host {
        display: block;
        /* what is unseen scrolls with the rest, and does not make the document longer */
        position: relative;
        overflow-y: auto;
        overscroll-behavior: contain;
        /* it keeps its place by itself, in browsers that do not, too */
        overflow-anchor: none;
      }
      .log {
        margin-inline: -4px;
        padding: 0.25rem 4px 1.5rem;
      }
      .turn {
        position: relative;
        padding-block-end: 0.75rem;
        overflow-wrap: anywhere;
        border-radius: var(--_radius);
      }
      .log:focus-visible,
      .turn:focus-visible {
        outline-offset: -2px;
      }
      .from {
        margin: 0 0 0.3rem;
      }
      .mine {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        justify-items: end;
      }
      .mine > nibble-message-edit {
        width: 100%;
      }
      .user {
        max-width: 85%;
        padding: 0.6rem 1rem;
        border-radius: var(--_radius);
        border-end-end-radius: 4px;
        background: var(--_surface);
        white-space: pre-wrap;
      }
      .files {
        display: flex;
        flex-wrap: wrap;
        gap: 0.4rem;
        margin: 0 0 0.4rem;
        padding: 0;
        list-style: none;
      }
      .files li {
        margin: 0;
        padding: 0.1rem 0.6rem;
        border: 1px solid var(--_border);
        border-radius: 999px;
        font-size: 0.875em;
      }
      /* its room is there before it is */
      nibble-message-bar {
        display: block;
        min-height: 2rem;
        margin-inline: -0.45rem;
        opacity: 0;
      }
      .turn:hover > nibble-message-bar,
      .turn:focus-within > nibble-message-bar,
      .turn.last > nibble-message-bar {
        opacity: 1;
      }
      nibble-message-bar[quiet] {
        visibility: hidden;
      }
      @media (hover: none) {
        nibble-message-bar {
          opacity: 1;
        }
      }
      .jump {
        position: sticky;
        bottom: 0.75rem;
        height: 0;
        display: grid;
        justify-items: center;
        z-index: 1;
      }
      .jump button {
        position: absolute;
        bottom: 0;
        background: var(--_background);
        box-shadow: 0 3px 14px light-dark(#1a1f1d26, #00000066);
      }
      .queued {
        display: grid;
        margin-block-end: 1rem;
        justify-items: end;
        gap: 0.3rem;
      }
      .queued .user {
        background: none;
        border: 1px dashed var(--_border);
      }
      .queued p {
        margin: 0;
        color: var(--_muted);
        font-size: 0.875em;
      }
      .assistant > :first-child {
        margin-top: 0;
      }
      .assistant > :last-child,
      .assistant > div:last-child > :last-child {
        margin-bottom: 0;
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
        padding-inline-start: 1em;
        border-inline-start: 3px solid var(--_border);
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

  #bodies = new MessageBodies(() => this.requestUpdate());
  /** of messages that were drawn, px */
  #heights = new Map<string, number>();
  #estimates = new WeakMap<ChatMessage, number>();
  /** what is in the document */
  #range: Range = { from: 0, to: 0 };
  /** what is seen at the top, and how far below it: it stays there when what is above it changes */
  #anchor: { id: string; offset: number } | null = null;
  /** new text pulls the list along */
  #follow = true;
  #top = 0;
  #seen = 0;
  #width = 0;
  #status = '';
  #Sentences: typeof Sentences | null = null;
  #sentences: Sentences | null = null;
  #spokenAt = 0;
  #readSince: { at: number; done: number } | null = null;
  #barsFetched = false;
  /** where the focus goes when what had it is gone */
  #focusAt: number | null = null;
  #messages: readonly ChatMessage[] = [];
  /** what is below it comes and goes, a phone's keyboard too; and what is in it grows by itself */
  #resized = new ResizeObserver(() => {
    this.#tries = 0;
    this.#settle();
  });
  /** drawings that found other heights than were estimated, one after the other */
  #tries = 0;

  /** The messages of a conversation that is no thread. */
  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  set messages(messages: readonly ChatMessage[]) {
    this.#messages = messages;
    this.turns = messages.map((message, at) => ({ id: String(at), parent: at ? String(at - 1) : null, message, at }));
  }

  override connectedCallback() {
    super.connectedCallback();
    this.#resized.observe(this);
    this.onscroll = this.#scrolled;
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.#resized.disconnect();
  }

  protected override firstUpdated() {
    this.#resized.observe(this.renderRoot.querySelector('.log')!);
  }

  /** Scrolls to the end, and stays there. */
  toTheEnd() {
    this.#follow = true;
    this.requestUpdate();
  }

  /** The button that had the focus goes. */
  #jump = () => {
    this.renderRoot.querySelector<HTMLElement>('.log')?.focus({ preventScroll: true });
    this.toTheEnd();
  };

  /** Scrolls to a message and gives it the focus. @returns false where it is not shown */
  async reveal(id: string): Promise<boolean> {
    const index = this.turns.findIndex((turn) => turn.id === id);
    if (index < 0) return false;
    this.current = id;
    if (!this.#articleOf(id)) {
      this.#follow = false;
      const above = this.#allHeights().slice(0, index);
      this.#top = above.reduce((sum, height) => sum + height, 0);
      this.#anchor = { id, offset: 0 };
      this.requestUpdate();
    }
    await this.updateComplete;
    const article = this.#articleOf(id);
    article?.focus({ preventScroll: true });
    article?.scrollIntoView({ block: 'nearest' });
    this.#scrolled();
    return true;
  }

  #articleOf(id: string): HTMLElement | null {
    return [...this.renderRoot.querySelectorAll<HTMLElement>('.turn')].find(({ dataset }) => dataset.id === id) ?? null;
  }

  #scrolled = () => {
    this.#tries = 0;
    const { scrollTop } = this;
    // a list that has become smaller is further from its end, too, without anyone having scrolled
    const stays = this.#follow && scrollTop >= this.#top;
    const below = this.scrollHeight - scrollTop - this.clientHeight;
    this.#follow = stays || below < NEAR_END;
    this.#top = scrollTop;
    this.away = !this.#follow && below > this.clientHeight / 2;
    this.#cast();
    if (!this.#covers()) this.requestUpdate();
  };

  /** Remembers what is seen at the top. */
  #cast() {
    const top = this.getBoundingClientRect().top;
    const all = [...this.renderRoot.querySelectorAll<HTMLElement>('.turn')];
    const first = all.find((article) => article.getBoundingClientRect().bottom > top);
    this.#anchor = first ? { id: first.dataset.id!, offset: first.getBoundingClientRect().top - top } : null;
  }

  /** Whether all that is seen, and half as much on either side, is in the document. */
  #covers(): boolean {
    const { from, to } = this.#range;
    const half = this.#seen / 2;
    const { from: first, to: end } = this.#wanted();
    // also where there is nothing better
    if (from <= first && to >= end) return true;
    const articles = this.renderRoot.querySelectorAll('.turn');
    const top = this.getBoundingClientRect().top;
    const above = articles[0]?.getBoundingClientRect().top ?? 0;
    const below = articles[articles.length - 1]?.getBoundingClientRect().bottom ?? 0;
    return (from === 0 || above < top - half) && (to === this.turns.length || below > top + this.#seen + half);
  }

  #wanted(heights = this.#allHeights()): Range {
    return rangeAt(heights, this.#follow ? Infinity : this.#top, this.#seen || innerHeight);
  }

  #allHeights(): number[] {
    return this.turns.map(({ id, message }) => {
      const known = this.#heights.get(id) ?? this.#estimates.get(message);
      if (known !== undefined) return known;
      const height = estimatedHeight(message.content, this.#width || 700);
      this.#estimates.set(message, height);
      return height;
    });
  }

  /** After each drawing, and whenever something has another size: what is seen stays where it is. */
  #settle() {
    // it was scrolled, and the event is still to come
    if (this.#follow && this.scrollTop < this.#top) this.#scrolled();
    if (this.#width !== this.clientWidth) this.#heights.clear();
    this.#width = this.clientWidth;
    this.#seen = this.clientHeight;
    for (const article of this.renderRoot.querySelectorAll<HTMLElement>('.turn:not(.late)')) {
      this.#heights.set(article.dataset.id!, article.getBoundingClientRect().height);
    }
    const anchor = this.#anchor && this.#articleOf(this.#anchor.id);
    if (this.#follow) this.scrollTop = this.scrollHeight;
    else if (anchor) {
      const moved = anchor.getBoundingClientRect().top - this.getBoundingClientRect().top - this.#anchor!.offset;
      if (Math.abs(moved) >= 1) this.scrollTop += moved;
    }
    this.#top = this.scrollTop;
    if (!this.#covers() && this.#tries++ < TRIES) this.requestUpdate();
  }

  override willUpdate(changed: Map<string, unknown>) {
    const { busy, turns } = this;
    if (changed.has('turns')) {
      if (turns.length > 0) void this.#bodies.fetch();
      this.#forget(changed.get('turns') as readonly Turn[] | undefined);
    }
    if (changed.has('prefill') || !this.prefill) {
      if (!this.prefill) this.#readSince = null;
      else this.#readSince ??= { at: performance.now(), done: this.prefill.done };
    }
    if (changed.has('busy')) {
      if (busy) this.#sentences = null;
      else if (changed.get('busy') === true) this.#status = this.#outcome();
    }
    if (busy && changed.has('turns')) this.#speak();
    if (!busy && turns.length > 0 && !this.#barsFetched) {
      this.#barsFetched = true;
      void this.#fetchSentences();
      void import('./message-bar').catch(() => {
        this.#barsFetched = false;
      });
    }
  }

  /** Another conversation begins at its end. */
  #forget(before: readonly Turn[] = []) {
    const { turns } = this;
    if (turns[0]?.id === before[0]?.id) return;
    this.#heights.clear();
    this.#follow = true;
    this.away = false;
    this.current = this.editing = null;
    this.#status = '';
  }

  /** Sentences that have come to their end, now and then. */
  #speak() {
    const { message } = this.turns.at(-1) ?? {};
    const now = performance.now();
    if (
      message?.role !== 'assistant' ||
      !message.content ||
      message.content.length > SPOKEN ||
      now - this.#spokenAt < SPEAK_MS
    )
      return;
    this.#spokenAt = now;
    if (message.content.length > SPOKEN_FROM) void this.#fetchSentences();
    this.#status = this.#fresh(message.content) || this.#status;
  }

  #fresh(content: string, whole = false): string {
    this.#sentences ??= this.#Sentences && new this.#Sentences();
    return this.#sentences?.next(content, this.language, this.say('codeSpoken'), whole) ?? '';
  }

  async #fetchSentences(): Promise<void> {
    try {
      this.#Sentences ??= (await import('./sentences')).Sentences;
    } catch {
      // what comes of an answer is said without
    }
  }

  /** What came of an answer: the rest of it, and how it ended. */
  #outcome(): string {
    const turn = this.turns.at(-1);
    if (!turn) return '';
    const { message, cut } = turn;
    if (message.role === 'user') return cut ? this.say('stoppedBefore') : '';
    const { content } = message;
    const long = content.length > SPOKEN;
    const rest = long ? '' : this.#fresh(content, true);
    const finished = () => this.say('answerFinished', { count: content.split(/\s+/).length });
    const end = { aborted: 'answerStopped', length: 'answerReachedLimit', loop: 'answerLooped' } as const;
    return `${rest} ${cut ? this.say(end[cut.finish]) : finished()}`.trim();
  }

  override updated() {
    this.#settle();
    const index = this.#focusAt;
    this.#focusAt = null;
    const turn = this.turns[Math.min(index ?? 0, this.turns.length - 1)];
    if (index !== null && turn && !this.shadowRoot?.activeElement) void this.reveal(turn.id);
  }

  /** What is done with a message may take it away, and the focus with it. */
  #act = (event: CustomEvent<Act>) => {
    const { detail } = event;
    const index = this.turns.findIndex(({ id }) => 'id' in detail && id === detail.id);
    if (detail.what === 'edit') {
      event.stopPropagation();
      this.editing = detail.id;
      return;
    }
    if (detail.what === 'show') this.#focusAt = this.turns.findIndex(({ id }) => id === this.current);
    else if (index >= 0) this.#focusAt = index;
    if (detail.what === 'again') this.#follow = true;
  };

  #endEdit(index: number, text?: string) {
    const id = this.editing;
    this.editing = null;
    this.#focusAt = index;
    if (text === undefined || id === null) return;
    this.#follow = true;
    const detail: Act = { what: 'say', id, text };
    this.dispatchEvent(new CustomEvent('act', { detail, bubbles: true, composed: true }));
  }

  #key = (event: KeyboardEvent) => {
    const target = event.target as HTMLElement;
    if (!target.matches?.('.turn, nibble-message-bar')) return;
    const id = target.closest<HTMLElement>('.turn')?.dataset.id;
    const index = this.turns.findIndex((turn) => turn.id === id);
    const steps: Record<string, number> = { ArrowUp: index - 1, ArrowDown: index + 1, Home: 0, End: Infinity };
    const to = steps[event.key];
    if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const turn = this.turns[Math.max(0, Math.min(to, this.turns.length - 1))];
    if (turn) void this.reveal(turn.id);
  };

  /** A question that takes one step is not worth a number. */
  #waiting() {
    const { done, total } = this.prefill ?? { done: 0, total: 0 };
    const read = total > READ_AT_ONCE && done < total;
    return html`<div class="waiting muted">${read ? this.#reading(done, total) : nothing}</div>`;
  }

  #reading(done: number, total: number): string {
    const { at, done: before } = this.#readSince ?? { at: performance.now(), done };
    const ms = performance.now() - at;
    if (ms < READ_MS || done <= before) return this.say('reading', { done, total });
    const left = ((total - done) * ms) / (done - before) / 1000;
    return this.say('readingLeft', { done, total, time: formatSeconds(left, this.language) });
  }

  #queued({ id, question }: Waiting) {
    const tell = (type: 'withdraw' | 'anyway') => () => this.dispatchEvent(new CustomEvent(type, { detail: id }));
    const slow = this.slow?.id === id ? this.slow : null;
    const why = () => {
      if (slow) return this.say('tooSlow', { tokens: slow.tokens, time: formatSeconds(slow.seconds, this.language) });
      return this.say(this.busy || this.slow ? 'waitsForAnswer' : 'waitsForModel');
    };
    return html`<div class="queued">
      <div class="user" dir=${directionOf(question)}>${longText(question)}</div>
      <p role=${slow ? 'alert' : nothing}>${why()}
        ${slow ? html`<button class="primary" @click=${tell('anyway')}>${this.say('sendAnyway')}</button>` : nothing}
        <button @click=${tell('withdraw')}>${this.say('withdraw')}</button></p>
    </div>`;
  }

  /** What is drawn now, in the order in which a person looks. */
  #draw({ from, to }: Range): Map<string, unknown> {
    const { turns, busy } = this;
    const last = turns.length - 1;
    const indices = Array.from({ length: to - from }, (_, i) => from + i);
    const anchor = turns.findIndex(({ id }) => id === this.#anchor?.id);
    const order = this.#follow
      ? indices.reverse()
      : [...indices.filter((index) => index >= anchor), ...indices.filter((index) => index < anchor).reverse()];
    this.#bodies.begin();
    return new Map(
      order.map((index) => {
        const streams = busy && index === last;
        const waits = streams ? this.#waiting() : nothing;
        return [
          turns[index].id,
          this.#bodies.draw(turns[index], index === last, streams, this.say, this.language, waits),
        ];
      }),
    );
  }

  #message(turn: Turn, index: number, current: string | undefined, body: unknown, height: number) {
    const { turns, thread, busy, editing } = this;
    const { id, message, server } = turn;
    const isLast = index === turns.length - 1;
    const mine = message.role === 'user';
    const beside = thread && thread.turns.length > turns.length ? siblingsOf(thread, id).map((other) => other.id) : [];
    const who = mine
      ? this.say('speakerYou')
      : server
        ? this.say('speakerServer', { server })
        : this.say('speakerModel');
    return html`<article
      class="turn ${mine ? 'mine' : ''} ${isLast ? 'last' : ''} ${body === null ? 'late' : ''}"
      tabindex=${id === current ? 0 : -1}
      aria-label=${who}
      aria-posinset=${index + 1}
      aria-setsize=${turns.length}
      data-id=${id}
      .style=${body === null ? `height: ${height}px` : ''}
      @focusin=${() => {
        this.current = id;
      }}
    >
      ${
        editing === id
          ? html`<nibble-message-edit
              .text=${turn.question ?? message.content}
              ?question=${mine}
              @saved=${({ detail }: CustomEvent<string>) => this.#endEdit(index, detail)}
              @cancel=${() => this.#endEdit(index)}
            ></nibble-message-edit>`
          : html`${server ? html`<p class="from muted">${who}</p>` : nothing}${body ?? nothing}<nibble-message-bar
                .turn=${turn}
                .beside=${beside}
                ?last=${isLast}
                ?reachable=${id === current}
                ?busy=${busy || this.readonly}
                ?quiet=${busy && isLast}
              ></nibble-message-bar>`
      }
    </article>`;
  }

  override render() {
    const { turns } = this;
    const heights = this.#allHeights();
    this.#range = this.#wanted(heights);
    const { from, to } = this.#range;
    const drawn = this.#draw(this.#range);
    const current = turns.some(({ id }) => id === this.current) ? (this.current ?? undefined) : turns.at(-1)?.id;
    const sum = (some: number[]) => some.reduce((all, height) => all + height, 0);
    return html`
      <div
        class="log"
        role="log"
        tabindex="0"
        aria-label=${this.say('conversation')}
        aria-live="off"
        aria-busy=${this.busy || this.waiting.length > 0}
        @act=${this.#act}
        @keydown=${this.#key}
      >
        <div .style=${`height: ${sum(heights.slice(0, from))}px`}></div>
        ${repeat(
          turns.slice(from, to),
          ({ id }) => id,
          (turn, index) => this.#message(turn, from + index, current, drawn.get(turn.id), heights[from + index]),
        )}
        <div .style=${`height: ${sum(heights.slice(to))}px`}></div>
        <slot></slot>
        ${this.waiting.map((one) => this.#queued(one))}
      </div>
      ${
        this.away
          ? html`<div class="jump"><button type="button" @click=${this.#jump}>${this.say('toTheEnd')} ↓</button></div>`
          : nothing
      }
      <div class="unseen" role="status">${this.#status}</div>
    `;
  }
}

defineElement('nibble-messages', MessageList);
