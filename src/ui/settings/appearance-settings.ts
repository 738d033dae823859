import { css, html } from 'lit';
import { defineElement } from '../define-element';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import { LANGUAGES } from '../words/languages';
import type { PhraseName } from '../words/words';
import { formStyles } from './form-styles';
import { type PreferenceValues, preferences, TEXT_SIZES, THEMES } from './preferences';

const THEME_NAMES: Record<PreferenceValues['theme'], PhraseName> = {
  system: 'themeSystem',
  light: 'themeLight',
  dark: 'themeDark',
};

const SIZE_NAMES: Record<PreferenceValues['textSize'], PhraseName> = {
  small: 'textSmall',
  normal: 'textNormal',
  large: 'textLarge',
  largest: 'textLargest',
};

/** How the page looks, and which language it speaks. All of it counts at once. */
export class AppearanceSettings extends SpokenElement {
  static override styles = [
    theme,
    formStyles,
    css`
      fieldset {
        display: flex;
        flex-wrap: wrap;
        gap: 0.4rem;
        margin: 0;
        padding: 0;
        border: 0;
      }
      legend {
        padding: 0;
        margin-block-end: 0.4rem;
      }
      fieldset label {
        position: relative;
        padding: 0.35em 1em;
        border: 1px solid var(--_border);
        border-radius: 999px;
        font-weight: normal;
        cursor: pointer;
      }
      fieldset label:has(:checked) {
        border-color: var(--_accent);
        box-shadow: inset 0 0 0 1px var(--_accent);
      }
      fieldset label:has(:focus-visible) {
        outline: 2px solid var(--_accent);
        outline-offset: 2px;
      }
      input {
        position: absolute;
        inset: 0;
        margin: 0;
        opacity: 0;
        cursor: pointer;
      }
      select {
        max-width: 16rem;
      }
      @media (forced-colors: active) {
        fieldset label:has(:checked) {
          outline: 2px solid Highlight;
        }
      }
    `,
  ];

  #changed = () => this.requestUpdate();

  override connectedCallback() {
    super.connectedCallback();
    preferences.addEventListener('change', this.#changed);
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    preferences.removeEventListener('change', this.#changed);
  }

  #choice<Name extends 'theme' | 'textSize'>(
    name: Name,
    label: PhraseName,
    all: readonly PreferenceValues[Name][],
    names: Record<PreferenceValues[Name], PhraseName>,
  ) {
    return html`<fieldset>
      <legend>${this.say(label)}</legend>
      ${all.map(
        (value) => html`<label><input
          type="radio"
          name=${name}
          .checked=${preferences.get(name) === value}
          @change=${() => preferences.set(name, value)}
        />${this.say(names[value])}</label>`,
      )}
    </fieldset>`;
  }

  override render() {
    const now = preferences.get('language');
    return html`
      ${this.#choice('theme', 'theme', THEMES, THEME_NAMES)}
      ${this.#choice('textSize', 'textSize', TEXT_SIZES, SIZE_NAMES)}
      <div class="field">
        <label for="language">${this.say('interfaceLanguage')}</label>
        <select id="language" @change=${({ target }: Event) => preferences.set('language', (target as HTMLSelectElement).value)}>
          <option value="" .selected=${now === ''}>${this.say('asBrowser')}</option>
          ${Object.entries(LANGUAGES).map(
            ([code, name]) => html`<option value=${code} lang=${code} .selected=${code === now}>${name}</option>`,
          )}
        </select>
      </div>`;
  }
}

defineElement('nibble-appearance-settings', AppearanceSettings);
