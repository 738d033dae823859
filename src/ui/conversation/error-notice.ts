import { css, html, nothing } from 'lit';
import { property } from 'lit/decorators.js';
import type { NibbleError } from '../../errors';
import { defineElement } from '../define-element';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';

/**
 * What went wrong, in the error's own sentence; its code and numbers are in the console, for who looks into it. What is
 * slotted stands below the sentence, and slot `actions` beside "Try again". Event: `retry`.
 */
export class ErrorNotice extends SpokenElement {
  @property({ attribute: false }) error: NibbleError | null = null;
  @property({ type: Boolean }) fatal = false;

  static override styles = [
    theme,
    css`
      [role='alert'] {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.6rem 1rem;
        padding: 0.8rem 1rem;
        border-radius: var(--_radius);
        border: 1px solid color-mix(in oklab, var(--_danger) 45%, transparent);
        background: color-mix(in oklab, var(--_danger) 7%, var(--_background));
      }
      .said {
        flex: 1 1 16rem;
        overflow-wrap: anywhere;
      }
      .actions {
        display: flex;
        flex-wrap: wrap;
        gap: 0.5rem;
      }
      p,
      ::slotted(p) {
        margin: 0;
      }
    `,
  ];

  override willUpdate(changed: Map<string, unknown>) {
    const { error } = this;
    if (error && changed.has('error')) console.warn(`Nibble: ${error.code}.`, error.message, error.details);
  }

  override render() {
    const { error } = this;
    if (error === null) return nothing;
    return html`<div role="alert" part="error" data-code=${error.code}>
      <div class="said"><p>${error.message}</p><slot></slot></div>
      <div class="actions">
        ${this.fatal ? nothing : html`<button @click=${() => this.dispatchEvent(new Event('retry'))}>${this.say('tryAgain')}</button>`}
        <slot name="actions"></slot>
      </div>
    </div>`;
  }
}

defineElement('nibble-error', ErrorNotice);
