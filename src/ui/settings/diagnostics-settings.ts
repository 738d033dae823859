import { css, html } from 'lit';
import { property, state } from 'lit/decorators.js';
import type { ChatSession } from '../conversation/session';
import { copyText } from '../copy-text';
import { defineElement } from '../define-element';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import type { PhraseName } from '../words/words';
import { report, surroundings } from './diagnostics';
import { formStyles } from './form-styles';

/** A report of what runs here, shown before it is copied. */
export class DiagnosticsSettings extends SpokenElement {
  @property({ attribute: false }) session!: ChatSession;
  /** name of the model that the page offers by itself */
  @property() standard = '';
  @property() version = '';
  @state() private text = '';
  @state() private news: PhraseName | null = null;

  static override styles = [
    theme,
    formStyles,
    css`
      pre {
        margin: 0;
        padding: 0.8rem 1rem;
        max-height: 22rem;
        overflow: auto;
        font: 0.8125em/1.5 var(--_mono);
        background: var(--_surface);
        border: 1px solid var(--_border);
        border-radius: calc(var(--_radius) - 4px);
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
    `,
  ];

  override connectedCallback() {
    super.connectedCallback();
    void this.#make();
  }

  async #make() {
    this.text = report(this.session, await surroundings(), this.standard, this.version);
  }

  #copy = async () => {
    this.news = (await copyText(this.text)) ? 'reportCopied' : 'reportNotCopied';
  };

  override render() {
    return html`
      <p>${this.say('diagnosticsSay')}</p>
      <pre dir="ltr" tabindex="0" role="region" aria-label=${this.say('report')}>${this.text || this.say('looking')}</pre>
      <div class="row">
        <button class="primary" ?disabled=${this.text === ''} @click=${this.#copy}>${this.say('copyReport')}</button>
        <span role="status">${this.news ? this.say(this.news) : ''}</span>
      </div>`;
  }
}

defineElement('nibble-diagnostics-settings', DiagnosticsSettings);
