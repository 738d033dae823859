import { css, html } from 'lit';
import { state } from 'lit/decorators.js';
import { defineElement } from '../define-element';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import type { PhraseName } from '../words/words';

/** Time to read a short sentence. */
const SHOWN_MS = 4000;

/** One line over the page, for a moment: what a command has done, where nothing else on the page shows it. */
class Told extends SpokenElement {
  @state() private name: PhraseName | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  static override styles = [
    theme,
    css`
      :host {
        position: fixed;
        inset-block-start: 4.25rem;
        inset-inline: 1rem;
        z-index: 2;
        text-align: center;
        pointer-events: none;
      }
      span {
        display: inline-block;
        padding: 0.4rem 1rem;
        border-radius: 999px;
        color: var(--_background);
        background: var(--_text);
        font-size: 0.9375em;
        line-height: 1.4;
      }
      @media (forced-colors: active) {
        span {
          border: 1px solid;
        }
      }
    `,
  ];

  /** The region is there before what it says, or else nobody hears it. */
  async tell(name: PhraseName): Promise<void> {
    clearTimeout(this.#timer);
    this.name = null;
    await this.updateComplete;
    this.name = name;
    this.#timer = setTimeout(() => {
      this.name = null;
    }, SHOWN_MS);
  }

  override render() {
    return html`<div role="status">${this.name === null ? '' : html`<span>${this.say(this.name)}</span>`}</div>`;
  }
}

defineElement('nibble-told', Told);

/** Says it on the page. */
export function tell(name: PhraseName): void {
  const found = document.body.querySelector<Told>('nibble-told');
  void (found ?? document.body.appendChild(document.createElement('nibble-told') as Told)).tell(name);
}
