import { css, html, LitElement, nothing } from 'lit';
import { property, query } from 'lit/decorators.js';
import './composer';
import './error-notice';
import './message-list';
import './progress-bar';
import './stats-line';
import { defineElement } from '../define-element';
import { formatBytes, formatMemory } from '../format';
import { theme } from '../theme';
import type { Composer } from './composer';
import type { ChatSession } from './session';

const MIB = 2 ** 20;

/**
 * A session on the screen, from the offer to load the model, through its download, to the conversation. The chat page
 * and the widget are this element with something around it. Slot `intro` stands above the offer, slot `cost` in it.
 * Event: `budget` (bytes), when the person allows what an error says is needed.
 */
export class ChatView extends LitElement {
  @property({ attribute: false }) session!: ChatSession;
  @property({ attribute: false }) starters: readonly string[] = [];
  @property() placeholder = 'Ask something';
  @query('nibble-composer') private composer?: Composer;

  static override styles = [
    theme,
    css`
      :host {
        display: flex;
        flex-direction: column;
        min-height: 0;
        gap: 0.75rem;
      }
      .middle {
        flex: 1;
        min-height: 0;
        display: grid;
        align-content: safe center;
        gap: 1.25rem;
        overflow-y: auto;
      }
      nibble-messages {
        flex: 1;
        min-height: 0;
        padding-right: 0.25rem;
      }
      .card {
        display: grid;
        gap: 1rem;
        padding: 1.4rem;
        border: 1px solid var(--_border);
        border-radius: calc(var(--_radius) + 4px);
      }
      .card > * {
        margin: 0;
      }
      .name {
        font-weight: 600;
        overflow-wrap: anywhere;
      }
      .actions {
        display: flex;
        align-items: center;
        gap: 1rem;
        flex-wrap: wrap;
      }
      .said {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.3rem 0.8rem;
        margin: 0;
        color: var(--_muted);
        font-size: 0.875em;
      }
      .starters {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(min(15rem, 100%), 1fr));
        gap: 0.6rem;
        padding: 0;
        margin: 0;
        list-style: none;
      }
      .starters button {
        width: 100%;
        height: 100%;
        text-align: left;
        padding: 0.8rem 1rem;
        border-radius: var(--_radius);
      }
    `,
  ];

  #changed = () => this.requestUpdate();

  override willUpdate(changed: Map<string, unknown>) {
    if (!changed.has('session')) return;
    (changed.get('session') as ChatSession | undefined)?.removeEventListener('change', this.#changed);
    this.session.addEventListener('change', this.#changed);
  }

  override focus() {
    this.composer?.focus();
  }

  async #ask(question: string) {
    const answered = this.session.ask(question);
    this.focus();
    await answered;
  }

  #retry = () => void this.session.retry();

  #offer() {
    const { preview, choice } = this.session;
    if (preview === null) return html`<p class="muted">Looking at the model…</p>`;
    const size = preview.bytes === null ? null : formatBytes(preview.bytes);
    return html`<div class="card" part="card">
      <p><span class="name" part="model">${choice.name}</span><br />
        <span class="muted" data-size=${preview.bytes ?? ''}>${
          preview.here
            ? 'Already on this device: nothing to download.'
            : size === null
              ? 'How much there is to download shows when it starts.'
              : `${size} to download, once. It stays in this browser and works offline.`
        }</span></p>
      ${preview.lastAttempt ? html`<p role="status" data-attempt>${preview.lastAttempt.message}</p>` : nothing}
      <slot name="cost"></slot>
      <div class="actions">
        <button class="primary" part="load" @click=${() => void this.session.load(true)}>
          ${preview.here || size === null ? 'Load' : `Load (${size})`}
        </button>
        ${this.#goBack()}
      </div>
    </div>`;
  }

  #loading() {
    return html`<div class="card" part="card">
      <p class="name">${this.session.choice.name}</p>
      <nibble-progress exportparts="progress" .progress=${this.session.progress}></nibble-progress>
      <div class="actions"><button @click=${() => this.session.stop()}>Stop</button></div>
    </div>`;
  }

  /** While an answer waits for a model that is loaded again. */
  #recovering() {
    const { phase, progress } = this.session;
    if (phase !== 'answering' || !progress || progress.phase === 'ready') return nothing;
    return html`<nibble-progress role="status" exportparts="progress" .progress=${progress}></nibble-progress>`;
  }

  /** Below an answer that is not whole. */
  #cut() {
    const { cut, messages, phase } = this.session;
    if (!cut || phase === 'answering') return nothing;
    const none = messages.at(-1)?.role === 'user';
    const limit = cut.ids ? ` of ${cut.ids.length.toLocaleString('en')} tokens` : '';
    const why = cut.finish === 'length' ? `The answer reached its limit${limit}.` : 'The answer was stopped.';
    return html`<p class="said" role="status" data-cut=${cut.finish}>
      ${none ? 'Stopped before it was answered.' : why}
      ${
        phase === 'ready'
          ? html`<button @click=${() => void this.session.continue()}>${none ? 'Answer' : 'Continue'}</button>`
          : nothing
      }
    </p>`;
  }

  /** After "New chat". */
  #undo() {
    const { closed, messages } = this.session;
    if (!closed || messages.length > 0) return nothing;
    return html`<p class="said" role="status">
      This is a new chat. <button @click=${() => this.session.undoNewChat()}>Undo</button>
    </p>`;
  }

  /** After an error of the memory limit: the one that would do. */
  #allow() {
    const { code, details } = this.session.error ?? {};
    const enough = Number(details?.enough);
    if (code !== 'out-of-memory' || !(enough > Number(details?.budget ?? Infinity))) return nothing;
    const detail = Math.ceil(enough / MIB) * MIB;
    const allow = () => {
      this.dispatchEvent(new CustomEvent('budget', { detail, bubbles: true, composed: true }));
      void this.session.allow(detail);
    };
    return html`<button slot="actions" @click=${allow}>Allow ${formatMemory(detail)}</button>`;
  }

  #error() {
    const { error, previous, phase } = this.session;
    const noRoom = error?.code === 'quota-exceeded' && phase === 'idle';
    return html`<nibble-error
      exportparts="error"
      .error=${error}
      ?fatal=${error?.code === 'invalid-option'}
      @retry=${this.#retry}
    >
      ${previous ? html`<p class="muted">${previous.choice.name} made room for it and is no longer loaded.</p>` : nothing}
      ${
        noRoom
          ? html`<button slot="actions" @click=${() => void this.session.loadWithoutRoom()}>Load without keeping it</button>`
          : nothing
      }
      ${this.#allow()}
      ${this.#goBack('actions')}
    </nibble-error>`;
  }

  #goBack(slot?: string) {
    const { previous } = this.session;
    if (!previous) return nothing;
    const { choice, preview } = previous;
    return html`<button slot=${slot ?? nothing} @click=${() => void this.session.change(choice, preview)}>
      Back to ${choice.name}
    </button>`;
  }

  #starters() {
    return html`<ul class="starters">
      ${this.starters.map((text) => html`<li><button @click=${() => void this.#ask(text)}>${text}</button></li>`)}
    </ul>`;
  }

  /** The way to a loaded model, while there is none. */
  #model() {
    const { phase, error } = this.session;
    return phase === 'loading' ? this.#loading() : phase === 'idle' && !error ? this.#offer() : nothing;
  }

  #middle() {
    const { phase, messages, prefill } = this.session;
    if (messages.length > 0) {
      return html`<nibble-messages exportparts="user, assistant" .messages=${messages} .prefill=${prefill} ?busy=${phase === 'answering'}
        >${this.#cut()}</nibble-messages>`;
    }
    return html`<div class="middle">
      <slot name="intro"></slot>
      ${phase === 'ready' || phase === 'answering' ? this.#starters() : this.#model()}
    </div>`;
  }

  override render() {
    const { phase, messages, info, memory, result } = this.session;
    const usable = phase === 'ready' || phase === 'answering';
    return html`
      ${this.#middle()}
      ${this.#recovering()}
      ${this.#undo()}
      ${this.#error()}
      ${messages.length > 0 ? this.#model() : nothing}
      ${
        usable
          ? html`<nibble-composer
                exportparts="composer"
                placeholder=${this.placeholder}
                ?busy=${phase === 'answering'}
                @send=${(event: CustomEvent<string>) => void this.#ask(event.detail)}
                @stop=${() => this.session.stop()}
              ></nibble-composer>
              <nibble-stats exportparts="stats" .info=${info} .memory=${memory} .result=${result}></nibble-stats>`
          : nothing
      }
    `;
  }
}

defineElement('nibble-view', ChatView);
