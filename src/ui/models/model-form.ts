import { css, html, LitElement } from 'lit';
import { property, query } from 'lit/decorators.js';
import { asNibbleError } from '../../errors';
import { defineElement } from '../define-element';
import { theme } from '../theme';
import { chooseByName, type ModelChoice } from './model-choice';
import { pickFiles, pickFolder } from './pick-files';

/** Ways to name a model: an id or address, a folder, files. Events: `choose` (ModelChoice), `refuse` (NibbleError). */
export class ModelForm extends LitElement {
  /** address of what stands for the Hub */
  @property() hub?: string;
  @query('[name=model]') private model!: HTMLInputElement;
  @query('[name=revision]') private revision!: HTMLInputElement;
  @query('[name=token]') private token!: HTMLInputElement;

  static override styles = [
    theme,
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
        font: inherit;
        font-size: 1rem;
        color: inherit;
        width: 100%;
        min-width: 0;
        padding: 0.45rem 0.8rem;
        border: 1px solid var(--_border);
        border-radius: var(--_radius);
        background: var(--_background);
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
          <span>Hugging Face id, or address <span class="muted">like org/name or org/name/file.gguf</span></span>
        </label>
        <div class="row">
          <input
            id="model"
            name="model"
            required
            autocomplete="off"
            autocapitalize="off"
            spellcheck="false"
            placeholder="org/name or https://…"
          />
          <button type="submit">Look up</button>
        </div>
        <details>
          <summary class="muted">Revision and access token</summary>
          <div class="row">
            <label>Revision <input name="revision" autocomplete="off" spellcheck="false" placeholder="main" /></label>
            <label>Access token <input name="token" type="password" autocomplete="off" placeholder="hf_…" /></label>
          </div>
          <p class="muted">The token goes to the Hub only. It is not stored, and forgotten when this page closes.</p>
        </details>
      </form>
      <div class="row">
        <button @click=${() => this.#pick(pickFolder)}>Open a folder</button>
        <button @click=${() => this.#pick(pickFiles)}>Open files</button>
        <span class="muted">or drop them anywhere on this page</span>
      </div>
    `;
  }
}

defineElement('nibble-model-form', ModelForm);
