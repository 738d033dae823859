import { css, html } from 'lit';
import { property, query } from 'lit/decorators.js';
import { asNibbleError } from '../../errors';
import { defineElement } from '../define-element';
import { SpokenElement } from '../spoken-element';
import { textField } from '../text-field';
import { theme } from '../theme';
import { chooseByName, type ModelChoice } from './model-choice';
import { pickFiles, pickFolder } from './pick-files';

/** Ways to name a model: an id or address, a folder, files. Events: `choose` (ModelChoice), `refuse` (NibbleError). */
export class ModelForm extends SpokenElement {
  /** address of what stands for the Hub */
  @property() hub?: string;
  @query('[name=model]') private model!: HTMLInputElement;
  @query('[name=revision]') private revision!: HTMLInputElement;
  @query('[name=token]') private token!: HTMLInputElement;

  static override styles = [
    theme,
    textField,
    css`
      :host,
      form {
        display: grid;
        gap: 0.75rem;
      }
      label {
        display: grid;
        gap: 0.3rem;
        font-size: 0.9375em;
      }
      input {
        font-size: 1rem;
        width: 100%;
      }
      input::placeholder {
        color: var(--_muted);
        opacity: 1;
      }
      input:focus-visible {
        outline-offset: 0;
      }
      .row {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.5rem;
      }
      .row input {
        flex: 1 1 11rem;
        width: auto;
      }
      summary {
        cursor: pointer;
        width: fit-content;
        border-radius: 4px;
      }
      details .row {
        align-items: start;
        gap: 0.75rem;
      }
      details label {
        flex: 1 1 12rem;
      }
      p,
      details > .row {
        margin: 0.6rem 0 0;
      }
    `,
  ];

  override focus() {
    this.model?.focus();
  }

  #choose(choice: ModelChoice | null) {
    if (choice) this.dispatchEvent(new CustomEvent('choose', { detail: choice }));
  }

  #look(event: Event) {
    event.preventDefault();
    const access = { revision: this.revision.value, token: this.token.value };
    this.#choose(chooseByName(this.model.value, access, this.hub));
  }

  async #pick(pick: () => Promise<ModelChoice | null>) {
    try {
      this.#choose(await pick());
    } catch (thrown) {
      this.dispatchEvent(new CustomEvent('refuse', { detail: asNibbleError(thrown, 'storage-unavailable') }));
    }
  }

  override render() {
    return html`
      <form @submit=${this.#look}>
        <label for="model">
          <span>${this.say('modelAddress')} <span class="muted">${this.say('modelAddressLike', { examples: 'org/name, org/name/file.gguf' })}</span></span>
        </label>
        <div class="row">
          <input
            id="model"
            name="model"
            required
            autocomplete="off"
            autocapitalize="off"
            spellcheck="false"
            placeholder="org/name, https://…"
          />
          <button type="submit">${this.say('lookUp')}</button>
        </div>
        <details>
          <summary class="muted">${this.say('revisionAndToken')}</summary>
          <div class="row">
            <label>${this.say('cardRevision')} <input name="revision" autocomplete="off" spellcheck="false" placeholder="main" /></label>
            <label>${this.say('cardToken')} <input name="token" type="password" autocomplete="off" placeholder="hf_…" /></label>
          </div>
          <p class="muted">${this.say('tokenPromise')}</p>
        </details>
      </form>
      <div class="row">
        <button @click=${() => this.#pick(pickFolder)}>${this.say('openFolder')}</button>
        <button @click=${() => this.#pick(pickFiles)}>${this.say('openFiles')}</button>
        <span class="muted">${this.say('orDrop')}</span>
      </div>
    `;
  }
}

defineElement('nibble-model-form', ModelForm);
