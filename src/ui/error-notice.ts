import { css, html, LitElement, nothing } from 'lit';
import { property } from 'lit/decorators.js';
import type { NibbleError } from '../errors';
import { define } from './define';
import { theme } from './theme';

/** What went wrong, in the error's own sentence, with its code. Event: `retry`. */
export class ErrorNotice extends LitElement {
  @property({ attribute: false }) error: NibbleError | null = null;
  @property({ type: Boolean }) fatal = false;

  static override styles = [
    theme,
    css`
      div {
        display: flex;
        align-items: center;
        gap: 1rem;
        padding: 0.8rem 1rem;
        border-radius: var(--_radius);
        border: 1px solid color-mix(in oklab, var(--_danger) 45%, transparent);
        background: color-mix(in oklab, var(--_danger) 7%, var(--_background));
      }
      p {
        flex: 1;
        margin: 0;
        overflow-wrap: anywhere;
      }
      code {
        font: 0.8em var(--_mono);
        color: var(--_danger);
      }
    `,
  ];

  override render() {
    const { error } = this;
    if (error === null) return nothing;
    return html`<div role="alert" part="error">
      <p>${error.message} <code>${error.code}</code></p>
      ${this.fatal ? nothing : html`<button @click=${() => this.dispatchEvent(new Event('retry'))}>Try again</button>`}
    </div>`;
  }
}

define('nibble-error', ErrorNotice);
