/** What can be done with one message, and what is known of it, below it. Fetched after the first answer. */
import { css, html, nothing, type TemplateResult } from 'lit';
import { property, state } from 'lit/decorators.js';
import { copyText } from '../copy-text';
import { defineElement } from '../define-element';
import { formatRate } from '../format';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import { EN_MESSAGES } from '../words/en-messages';
import { type PhraseName, teach } from '../words/words';
import './message-edit';
import { readAloud, stopReading } from './read-aloud';
import type { Turn } from './thread';

teach(EN_MESSAGES);

/** What the person wants done with a message. `show`: `id` is that of the one to be shown in its place. */
export type Act =
  | { what: 'again' | 'edit' | 'remove' | 'show'; id: string }
  | { what: 'continue' | 'penalty' }
  | { what: 'say'; id: string; text: string };

const ICONS = {
  copy: 'M8 8V5a2 2 0 0 1 2-2h9a2 2 0 0 1 2 2v9a2 2 0 0 1-2 2h-3M5 8h9a2 2 0 0 1 2 2v9a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-9a2 2 0 0 1 2-2z',
  again: 'M20 11a8 8 0 0 0-14-4.5L3 9m0-5v5h5M4 13a8 8 0 0 0 14 4.5l3-2.5m0 5v-5h-5',
  edit: 'M4 20l1-4L16.5 4.5a2.1 2.1 0 0 1 3 3L8 19z',
  speak: 'M4 9v6h4l5 4V5L8 9zM17 9a4 4 0 0 1 0 6M19.5 6.5a8 8 0 0 1 0 11',
  remove: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13',
  details: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v5M12 8v.01',
} as const;

/** Event: `act` (Act), which bubbles out of shadow trees. */
export class MessageBar extends SpokenElement {
  @property({ attribute: false }) turn!: Turn;
  /** ids of those that stand beside it, and its own */
  @property({ attribute: false, hasChanged: (now, before) => String(now) !== String(before) })
  beside: readonly string[] = [];
  /** it is the last one of all: what is known of it is in the document from the beginning */
  @property({ type: Boolean }) last = false;
  /** its buttons are stations of the Tab key */
  @property({ type: Boolean }) reachable = false;
  /** an answer is under way: nothing is done with messages meanwhile that would stop it */
  @property({ type: Boolean }) busy = false;
  @state() private open = false;
  @state() private speaks = false;
  @state() private said: PhraseName | null = null;

  static override styles = [
    theme,
    css`
      :host {
        display: block;
        font-size: 0.875em;
        line-height: 1.4;
        color: var(--_muted);
      }
      .bar {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.1rem;
        min-height: 2rem;
      }
      :host([mine]) .bar {
        justify-content: end;
      }
      button {
        display: grid;
        place-items: center;
        min-width: 2rem;
        height: 2rem;
        padding: 0;
        border-color: transparent;
        border-radius: 8px;
        color: inherit;
      }
      button:hover {
        color: var(--_text);
        background: var(--_surface);
        border-color: transparent;
      }
      svg {
        width: 1.1rem;
        height: 1.1rem;
        fill: none;
        stroke: currentColor;
        stroke-width: 1.7;
        stroke-linecap: round;
        stroke-linejoin: round;
      }
      .branch {
        display: flex;
        align-items: center;
        margin-inline-end: 0.4rem;
        font-variant-numeric: tabular-nums;
      }
      .branch svg {
        width: 0.9rem;
      }
      :host(:dir(rtl)) .branch svg {
        transform: scaleX(-1);
      }
      .said {
        padding-inline: 0.4rem;
      }
      dl {
        display: grid;
        grid-template-columns: max-content 1fr;
        gap: 0.1rem 0.8rem;
        margin: 0.3rem 0 0.2rem;
        font-variant-numeric: tabular-nums;
      }
      dl[hidden] {
        display: none;
      }
      dt,
      dd {
        margin: 0;
        overflow-wrap: anywhere;
      }
      dd {
        color: var(--_text);
      }
    `,
  ];

  override disconnectedCallback() {
    super.disconnectedCallback();
    if (this.speaks) stopReading();
    this.speaks = false;
  }

  #act(detail: Act) {
    this.dispatchEvent(new CustomEvent('act', { detail, bubbles: true, composed: true }));
  }

  #copy = async () => {
    const copied = await copyText(this.turn.question ?? this.turn.message.content);
    this.said = copied ? 'messageCopied' : 'messageNotCopied';
  };

  #speak = async () => {
    if (this.speaks) {
      stopReading();
      this.speaks = false;
      return;
    }
    const ended = () => {
      this.speaks = false;
    };
    this.said = null;
    this.speaks = true;
    const { content } = this.turn.message;
    if (await readAloud(content, this.language, this.say('codeSpoken'), ended)) return;
    this.speaks = false;
    this.said = 'noVoice';
  };

  #button(icon: keyof typeof ICONS, name: PhraseName, action: () => void, more: Record<string, boolean> = {}) {
    const text = this.say(name);
    return html`<button
      type="button"
      aria-label=${text}
      title=${text}
      tabindex=${this.reachable ? 0 : -1}
      aria-expanded=${icon === 'details' ? this.open : nothing}
      ?disabled=${more.disabled ?? false}
      @click=${action}
    >
      <svg viewBox="0 0 24 24" aria-hidden="true"><path d=${ICONS[icon]} /></svg>
    </button>`;
  }

  #branch() {
    const { beside, turn, busy } = this;
    const index = beside.indexOf(turn.id);
    if (beside.length < 2) return nothing;
    const arrow = (name: PhraseName, path: string, to: string | undefined) => html`<button
      type="button"
      aria-label=${this.say(name)}
      title=${this.say(name)}
      tabindex=${this.reachable ? 0 : -1}
      ?disabled=${busy || to === undefined}
      @click=${() => to && this.#act({ what: 'show', id: to })}
    >
      <svg viewBox="0 0 24 24" aria-hidden="true"><path d=${path} /></svg>
    </button>`;
    return html`<span class="branch">
      ${arrow('earlierOne', 'M15 5l-7 7 7 7', beside[index - 1])}
      <span>${this.say('oneOf', { index: index + 1, total: beside.length })}</span>
      ${arrow('laterOne', 'M9 5l7 7-7 7', beside[index + 1])}
    </span>`;
  }

  #details(): TemplateResult | typeof nothing {
    const { stats, model, server, note } = this.turn;
    if (!this.open && !this.last) return nothing;
    const row = (name: PhraseName, id: string, value: string | undefined) =>
      value ? html`<dt>${this.say(name)}</dt><dd data-stat=${this.last ? id : nothing}>${value}</dd>` : nothing;
    const first = () => {
      const { ttftMs, reusedTokens: reused, promptTokens: total } = stats!;
      const time = formatRate(ttftMs / 1000, this.language);
      // as they were counted, without separators
      if (reused > 0) return this.say('detailReused', { time, reused: String(reused), total: String(total) });
      return this.say('detailSeconds', { time });
    };
    return html`<dl ?hidden=${!this.open}>
      ${row('detailModel', 'answered-by', server ? undefined : model)}
      ${row('detailServer', 'server', server)}
      ${
        stats
          ? [
              row(
                'detailTokens',
                'tokens',
                this.say('detailTokensValue', { prompt: stats.promptTokens, answer: stats.newTokens }),
              ),
              row(
                'detailSpeed',
                'speed',
                this.say('detailSpeedValue', { rate: formatRate(stats.decodeTps, this.language) }),
              ),
              row('detailFirst', 'ttft', first()),
            ]
          : nothing
      }
      ${note && !this.last ? html`<dt></dt><dd>${note}</dd>` : nothing}
    </dl>`;
  }

  override render() {
    const { turn, busy } = this;
    const { id, message } = turn;
    const isAnswer = message.role === 'assistant';
    this.toggleAttribute('mine', !isAnswer);
    const known = isAnswer && (turn.stats || turn.model || turn.server);
    return html`<div class="bar" role="group" aria-label=${this.say('messageActions')}>
        ${this.#branch()}
        ${this.#button('copy', 'copyMessage', () => void this.#copy())}
        ${
          isAnswer
            ? [
                this.#button('again', 'answerAgain', () => this.#act({ what: 'again', id }), { disabled: busy }),
                this.#button('speak', this.speaks ? 'stopReading' : 'readAloud', () => void this.#speak()),
              ]
            : nothing
        }
        ${this.#button('edit', 'editMessage', () => this.#act({ what: 'edit', id }), { disabled: busy })}
        ${this.#button('remove', 'deleteMessage', () => this.#act({ what: 'remove', id }), { disabled: busy })}
        ${
          known
            ? this.#button('details', 'details', () => {
                this.open = !this.open;
              })
            : nothing
        }
        <span class="said" role="status">${this.said ? this.say(this.said) : nothing}</span>
      </div>
      ${known ? this.#details() : nothing}`;
  }
}

defineElement('nibble-message-bar', MessageBar);
