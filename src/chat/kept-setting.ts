import { css, html } from 'lit';
import { property } from 'lit/decorators.js';
import { defineElement } from '../ui/define-element';
import { SpokenElement } from '../ui/spoken-element';
import { theme } from '../ui/theme';
import { EN_MODELS } from '../ui/words/en-models';
import { teach } from '../ui/words/words';
import type { KeptChat } from './kept-chat';

teach(EN_MODELS);

const WHERE = {
  here: 'keptHere',
  elsewhere: 'keptElsewhere',
  later: 'keptLater',
  nowhere: 'keptNowhere',
} as const;

/** Whether the conversation is kept, said and chosen. */
export class KeptSetting extends SpokenElement {
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
    return html`<h3>${this.say('keptTitle')}</h3>
      <label>
        <input type="checkbox" .checked=${on} ?disabled=${others} @change=${this.#choose} />
        ${this.say('keepIt')}
      </label>
      <p class="muted">${this.say(on || others ? WHERE[place] : 'keptGoes')}</p>`;
  }
}

defineElement('nibble-kept', KeptSetting);
