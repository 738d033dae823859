import { css, html, nothing } from 'lit';
import { property, state } from 'lit/decorators.js';
import { live } from 'lit/directives/live.js';
import { REQUEST_OPTIONS } from '../../options/request';
import { fits, type Spec } from '../../options/spec';
import type { ChatSettings } from '../conversation/chat-settings';
import type { ChatSession } from '../conversation/session';
import { defineElement } from '../define-element';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import type { PhraseName } from '../words/words';
import { MOST_SYSTEM, type SETTABLE } from './check-settings';
import { formStyles } from './form-styles';
import { preferences } from './preferences';
import { PRESETS } from './presets';

type NumberName = Exclude<(typeof SETTABLE)[number], 'overflow'>;

/** The numbers that a person may set: what each is called, what it does, and how far one press goes. */
const NUMBERS: Record<NumberName, { label: PhraseName; help: PhraseName; step: number }> = {
  temperature: { label: 'setTemperature', help: 'setTemperatureHelp', step: 0.1 },
  topP: { label: 'setTopP', help: 'setTopPHelp', step: 0.05 },
  minP: { label: 'setMinP', help: 'setMinPHelp', step: 0.01 },
  repetitionPenalty: { label: 'setPenalty', help: 'setPenaltyHelp', step: 0.05 },
  maxNewTokens: { label: 'setLength', help: 'setLengthHelp', step: 1 },
  seed: { label: 'setSeed', help: 'setSeedHelp', step: 1 },
};

/** How this conversation is answered. What is left empty is the model's own, or the page's: it stands there in grey. */
export class ConversationSettings extends SpokenElement {
  @property({ attribute: false }) session!: ChatSession;
  /** fields that have a value which is none */
  @state() private wrong: readonly NumberName[] = [];
  @state() private news: PhraseName | null = null;

  static override styles = [
    theme,
    formStyles,
    css`
      .presets button {
        font-size: 0.875em;
      }
    `,
  ];

  #changed = () => this.requestUpdate();

  override connectedCallback() {
    super.connectedCallback();
    this.session.addEventListener('settings', this.#changed);
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.session.removeEventListener('settings', this.#changed);
  }

  /** undefined: as without it */
  #set(name: keyof ChatSettings, value: ChatSettings[keyof ChatSettings]) {
    this.news = null;
    const { [name]: _, ...others } = this.session.settings;
    this.session.settings = value === undefined || value === '' ? others : { ...others, [name]: value };
    this.requestUpdate();
  }

  #number(name: NumberName, { value, validity }: HTMLInputElement) {
    const number = value === '' ? undefined : Number(value);
    const isWrong = validity.badInput || (number !== undefined && !fits(REQUEST_OPTIONS[name], number));
    this.wrong = [...this.wrong.filter((other) => other !== name), ...(isWrong ? [name] : [])];
    if (!isWrong) this.#set(name, number);
  }

  /** What holds where nothing is set: what the last answer was made with, else what every model has. */
  #default(name: NumberName): string {
    const { result, settings } = this.session;
    const last = settings[name] === undefined && name !== 'seed' ? result?.options?.[name] : undefined;
    const { default: standard } = REQUEST_OPTIONS[name] as Spec;
    const value = last ?? standard ?? (name === 'maxNewTokens' ? 256 : undefined);
    if (typeof value === 'number') return value.toLocaleString(this.language, { maximumFractionDigits: 4 });
    return this.say(name === 'seed' ? 'seedRandom' : 'modelsOwn');
  }

  #numberField(name: NumberName) {
    const { label, help, step } = NUMBERS[name];
    const { least, most } = REQUEST_OPTIONS[name] as Extract<Spec, { type: 'number' }>;
    const isWrong = this.wrong.includes(name);
    return html`<div class="field">
      <label for=${name}>${this.say(label)}</label>
      <input
        id=${name}
        type="number"
        inputmode="decimal"
        min=${least}
        max=${most ?? nothing}
        step=${step === 1 ? 1 : 'any'}
        placeholder=${this.#default(name)}
        aria-describedby="${name}-help"
        aria-invalid=${isWrong}
        .value=${isWrong ? nothing : live(String(this.session.settings[name] ?? ''))}
        @change=${({ target }: Event) => this.#number(name, target as HTMLInputElement)}
      />
      <p class=${isWrong ? 'fault' : 'muted'} id="${name}-help" role=${isWrong ? 'alert' : nothing}>${
        isWrong ? this.say('numberFrom', { least, most: most ?? '∞' }) : this.say(help)
      }</p>
    </div>`;
  }

  #system() {
    return html`<div class="field">
      <label for="system">${this.say('setSystem')}</label>
      <textarea
        id="system"
        dir="auto"
        rows="4"
        maxlength=${MOST_SYSTEM}
        placeholder=${this.say('setSystemNone')}
        aria-describedby="system-help"
        .value=${live(this.session.settings.system ?? '')}
        @change=${({ target }: Event) => this.#set('system', (target as HTMLTextAreaElement).value.trim())}
      ></textarea>
      <div class="row presets" role="group" aria-label=${this.say('presets')}>
        ${PRESETS.map(
          ({ name, prompt }) =>
            html`<button @click=${() => this.#set('system', this.say(prompt))}>${this.say(name)}</button>`,
        )}
      </div>
      <p class="muted" id="system-help">${this.say('setSystemHelp')}</p>
    </div>`;
  }

  #choices() {
    const { thinking, overflow } = this.session.settings;
    const think = (value: string) => this.#set('thinking', value === '' ? undefined : value === 'on');
    const chosen = thinking === undefined ? '' : thinking ? 'on' : 'off';
    const option = (value: string, name: PhraseName, now: string) =>
      html`<option value=${value} .selected=${value === now}>${this.say(name)}</option>`;
    return html`<div class="field">
        <label for="thinking">${this.say('setThinking')}</label>
        <select id="thinking" aria-describedby="thinking-help" @change=${({ target }: Event) => think((target as HTMLSelectElement).value)}>
          ${option('', 'modelsOwn', chosen)}${option('on', 'on', chosen)}${option('off', 'off', chosen)}
        </select>
        <p class="muted" id="thinking-help">${this.say('setThinkingHelp')}</p>
      </div>
      <div class="field">
        <label for="overflow">${this.say('setOverflow')}</label>
        <select
          id="overflow"
          aria-describedby="overflow-help"
          @change=${({ target }: Event) =>
            this.#set('overflow', (target as HTMLSelectElement).value as ChatSettings['overflow'])}
        >
          ${option('shift', 'overflowShift', overflow ?? 'shift')}${option('error', 'overflowError', overflow ?? 'shift')}
        </select>
        <p class="muted" id="overflow-help">${this.say('setOverflowHelp')}</p>
      </div>`;
  }

  #reset = () => {
    this.wrong = [];
    this.session.settings = {};
    this.news = 'settingsReset';
  };

  #forAll = () => {
    preferences.set('conversation', this.session.settings);
    this.news = 'settingsForNew';
  };

  override render() {
    return html`
      ${this.#system()}
      <div class="fields">${(Object.keys(NUMBERS) as NumberName[]).map((name) => this.#numberField(name))}${this.#choices()}</div>
      <div class="row">
        <button @click=${this.#forAll}>${this.say('useForNew')}</button>
        <button @click=${this.#reset}>${this.say('resetSettings')}</button>
      </div>
      <p class="muted" role="status">${this.news ? this.say(this.news) : ''}</p>`;
  }
}

defineElement('nibble-conversation-settings', ConversationSettings);
