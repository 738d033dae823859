import { css, html, LitElement } from 'lit';
import { property } from 'lit/decorators.js';
import { defineElement } from '../ui/define-element';
import { theme } from '../ui/theme';
import type { KeptChat } from './kept-chat';

const WHERE = {
  here: 'It is here again when you come back. It stays on this device, and “New chat” deletes it.',
  elsewhere: 'Another tab of this page keeps its conversation. What is said in this one goes with it.',
  later: 'A later version of this page keeps its conversation here. What is said in this one goes with it.',
  nowhere: 'This browser has no room for it, or stores nothing for this page: it goes with this tab.',
};

/** Whether the conversation is kept, said and chosen. */
export class KeptSetting extends LitElement {
  @property({ attribute: false }) kept!: KeptChat;

  static override styles = [
    theme,
    css`
      :host {
        display: grid;
        gap: 0.5rem;
      }
      h3,
      p {
        margin: 0;
      }
      h3 {
        font-size: 1rem;
      }
      label {
        display: flex;
        align-items: center;
        gap: 0.6rem;
      }
      input {
        accent-color: var(--_accent);
        width: 1.1rem;
        height: 1.1rem;
      }
    `,
  ];

  #changed = () => this.requestUpdate();

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has('kept')) this.kept.addEventListener('change', this.#changed);
  }

  #choose = ({ target }: Event) => this.kept.keep((target as HTMLInputElement).checked);

  override render() {
    const { on, place } = this.kept;
    const others = place === 'elsewhere' || place === 'later';
    return html`<h3>This conversation</h3>
      <label>
        <input type="checkbox" .checked=${on} ?disabled=${others} @change=${this.#choose} />
        Keep it in this browser
      </label>
      <p class="muted">${on || others ? WHERE[place] : 'It goes with this tab.'}</p>`;
  }
}

defineElement('nibble-kept', KeptSetting);
