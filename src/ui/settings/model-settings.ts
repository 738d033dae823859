import { html, nothing } from 'lit';
import { property, state } from 'lit/decorators.js';
import type { EngineOptions } from '../../protocol';
import type { ChatSession } from '../conversation/session';
import { defineElement } from '../define-element';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import type { PhraseName } from '../words/words';
import { formStyles } from './form-styles';

const CACHES: Record<'f16' | 'f32' | 'int8', PhraseName> = { f16: 'cache16', f32: 'cache32', int8: 'cache8' };

type Chosen = Pick<EngineOptions, 'kv' | 'maxContext'>;

/** How the model is held: what it was loaded with, and a load with other values. */
export class ModelSettings extends SpokenElement {
  @property({ attribute: false }) session!: ChatSession;
  /** what the next load is to have, where it is another than now */
  @state() private chosen: Chosen = {};
  @state() private wrong = false;

  static override styles = [theme, formStyles];

  #changed = () => this.requestUpdate();

  override connectedCallback() {
    super.connectedCallback();
    this.session.addEventListener('change', this.#changed);
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.session.removeEventListener('change', this.#changed);
  }

  #length({ value, validity }: HTMLInputElement) {
    const most = this.session.info!.contextLength || Number.MAX_SAFE_INTEGER;
    const tokens = Number(value);
    this.wrong = validity.badInput || (value !== '' && !(Number.isInteger(tokens) && tokens >= 1 && tokens <= most));
    if (!this.wrong) this.chosen = { ...this.chosen, maxContext: value === '' ? undefined : tokens };
  }

  #reload = () => {
    const { choice, preview, info } = this.session;
    const { kv = info!.options.kv, maxContext = this.#now } = this.chosen;
    const { maxContext: _, ...others } = choice.options ?? {};
    const isWhole = maxContext === info!.contextLength;
    this.chosen = {};
    void this.session.change({ ...choice, options: { ...others, kv, ...(!isWhole && { maxContext }) } }, preview);
  };

  get #now(): number {
    return this.session.info!.options.maxContext;
  }

  override render() {
    const { info, phase, choice } = this.session;
    if (!info) return html`<p class="muted">${this.say(phase === 'loading' ? 'modelLoading' : 'modelNone')}</p>`;
    const { kv } = info.options;
    const { kv: wanted = kv, maxContext = this.#now } = this.chosen;
    const others = wanted !== kv || maxContext !== this.#now;
    return html`
      <p><strong dir="auto">${choice.name}</strong></p>
      <div class="fields">
        <div class="field">
          <label for="context">${this.say('setContext')}</label>
          <input
            id="context"
            type="number"
            inputmode="numeric"
            min="1"
            max=${info.contextLength || nothing}
            .value=${String(maxContext)}
            aria-invalid=${this.wrong}
            aria-describedby="context-help"
            @input=${({ target }: Event) => this.#length(target as HTMLInputElement)}
          />
          <p class=${this.wrong ? 'fault' : 'muted'} id="context-help" role=${this.wrong ? 'alert' : nothing}>${
            this.wrong
              ? this.say('numberFrom', { least: 1, most: info.contextLength })
              : this.say('setContextHelp', { most: info.contextLength })
          }</p>
        </div>
        <div class="field">
          <label for="cache">${this.say('setCache')}</label>
          <select
            id="cache"
            aria-describedby="cache-help"
            @change=${({ target }: Event) => {
              this.chosen = { ...this.chosen, kv: (target as HTMLSelectElement).value as keyof typeof CACHES };
            }}
          >
            ${Object.entries(CACHES).map(
              ([value, name]) => html`<option value=${value} .selected=${value === wanted}>${this.say(name)}</option>`,
            )}
          </select>
          <p class="muted" id="cache-help">${this.say('setCacheHelp')}</p>
        </div>
      </div>
      <p class="muted">${this.say('needsReload')}</p>
      <div class="row">
        <button class="primary" ?disabled=${!others || this.wrong || phase === 'loading'} @click=${this.#reload}>${this.say('reloadModel')}</button>
      </div>`;
  }
}

defineElement('nibble-model-settings', ModelSettings);
