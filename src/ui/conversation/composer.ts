import { css, html, LitElement } from 'lit';
import { property, query, state } from 'lit/decorators.js';
import { defineElement } from '../define-element';
import { theme } from '../theme';

/** Where a question is typed: Enter sends, Shift+Enter breaks the line, Escape stops. Events: `send` (text), `stop`. */
export class Composer extends LitElement {
  @property() placeholder = 'Ask something';
  @property({ type: Boolean }) busy = false;
  @state() private text = '';
  @query('textarea') private area!: HTMLTextAreaElement;

  static override styles = [
    theme,
    css`
      :host {
        display: block;
      }
      form {
        display: flex;
        align-items: end;
        gap: 0.5rem;
        padding: 0.45rem;
        border: 1px solid var(--_border);
        border-radius: calc(var(--_radius) + 8px);
        background: var(--_background);
        transition: border-color 0.15s;
      }
      form:focus-within {
        border-color: var(--_accent);
      }
      textarea {
        flex: 1;
        min-width: 0;
        font: inherit;
        color: inherit;
        background: none;
        border: 0;
        resize: none;
        padding: 0.4rem 0.6rem;
        max-height: 10rem;
        field-sizing: content;
      }
      /* the form shows the focus */
      textarea:focus-visible {
        outline: 0;
      }
      textarea::placeholder {
        color: var(--_muted);
        opacity: 1;
      }
    `,
  ];

  override focus() {
    this.area?.focus();
  }

  #send(event: Event) {
    event.preventDefault();
    const text = this.text.trim();
    if (this.busy || text === '') return;
    this.text = '';
    this.dispatchEvent(new CustomEvent('send', { detail: text }));
  }

  #key(event: KeyboardEvent) {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) this.#send(event);
    if (event.key === 'Escape' && this.busy) this.#stop();
  }

  #stop() {
    this.dispatchEvent(new Event('stop'));
  }

  override render() {
    return html`<form part="composer" @submit=${this.#send}>
      <textarea
        dir="auto"
        rows="1"
        aria-label="Your question"
        placeholder=${this.placeholder}
        .value=${this.text}
        @input=${() => {
          this.text = this.area.value;
        }}
        @keydown=${this.#key}
      ></textarea>
      ${
        this.busy
          ? html`<button type="button" class="primary" @click=${this.#stop}>Stop</button>`
          : html`<button type="submit" class="primary" ?disabled=${this.text.trim() === ''}>Send</button>`
      }
    </form>`;
  }
}

defineElement('nibble-composer', Composer);
