import { css, html, nothing } from 'lit';
import { property, query, state } from 'lit/decorators.js';
import type { LoraInput } from '../../engine';
import { asNibbleError, type NibbleError } from '../../errors';
import '../conversation/error-notice';
import type { ChatSession } from '../conversation/session';
import { defineElement } from '../define-element';
import { recall, remember } from '../remember';
import { SpokenElement } from '../spoken-element';
import { textField } from '../text-field';
import { theme } from '../theme';
import { chooseByName, type ModelChoice } from './model-choice';
import { pickFolder } from './pick-files';

interface Adapter {
  name: string;
  input: LoraInput;
  /** as it was typed; absent for files, which no later visit can read */
  typed?: string;
  on: boolean;
}

const KEY = 'nibble-adapters';

/** Adapters that were added to models at earlier visits, as they were typed. */
function remembered(): Record<string, string[]> {
  try {
    return JSON.parse(recall(KEY) ?? '{}') as Record<string, string[]>;
  } catch {
    return {};
  }
}

/** LoRA adapters of the model that is loaded: added, and switched on and off in the conversation. */
export class AdapterList extends SpokenElement {
  @property({ attribute: false }) session!: ChatSession;
  /** address of what stands for the Hub */
  @property() hub?: string;
  @state() private adapters: Adapter[] = [];
  @state() private busy = false;
  @state() private error: NibbleError | null = null;
  @query('input[name=adapter]') private input!: HTMLInputElement;
  /** the model that `adapters` are for */
  #model = '';

  static override styles = [
    theme,
    textField,
    css`
      :host,
      form {
        display: grid;
        gap: 0.6rem;
      }
      .row {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.5rem 0.75rem;
      }
      .row label {
        flex: 1 1 12rem;
        min-width: 0;
        overflow-wrap: anywhere;
      }
      input[name='adapter'] {
        flex: 1 1 11rem;
      }
      input[type='checkbox'] {
        accent-color: var(--_accent);
        margin-inline-end: 0.6em;
      }
      p {
        margin: 0;
      }
    `,
  ];

  override willUpdate() {
    const model = this.session.info?.name ?? '';
    if (model === this.#model) return;
    this.#model = model;
    const known = remembered()[model];
    this.adapters = (Array.isArray(known) ? known : []).map((typed) => this.#named(typed));
  }

  #named(typed: string): Adapter {
    const { model, name, revision, hub } = chooseByName(typed, {}, this.hub);
    const input: LoraInput = { adapter: model, ...(revision && { revision }), ...(hub && { hub }) };
    return { name, input, typed, on: false };
  }

  /** What is on from now on; it stays as it was where the engine refuses. */
  async #use(adapters: Adapter[]) {
    Object.assign(this, { busy: true, error: null });
    try {
      const before = this.adapters.filter(({ on }) => on);
      const after = adapters.filter(({ on }) => on);
      if (before.length > 0 || after.length > 0) await this.session.adapt(after.map(({ input }) => input));
      this.adapters = adapters;
      this.#remember();
    } catch (thrown) {
      this.error = asNibbleError(thrown);
      // the switch that was pressed says what is so
      this.adapters = [...this.adapters];
    }
    this.busy = false;
  }

  #remember() {
    const typed = this.adapters.flatMap((adapter) => adapter.typed ?? []);
    const { [this.#model]: _, ...others } = remembered();
    const all = typed.length > 0 ? { ...others, [this.#model]: typed } : others;
    remember(KEY, Object.keys(all).length > 0 ? JSON.stringify(all) : null);
  }

  async #add(event: Event) {
    event.preventDefault();
    const typed = this.input.value.trim();
    if (this.adapters.some((adapter) => adapter.typed === typed)) return;
    await this.#use([...this.adapters, { ...this.#named(typed), on: true }]);
    if (!this.error) this.input.value = '';
  }

  async #pick() {
    let choice: ModelChoice | null;
    try {
      choice = await pickFolder();
    } catch (thrown) {
      this.error = asNibbleError(thrown, 'storage-unavailable');
      return;
    }
    if (choice) await this.#use([...this.adapters, { name: choice.name, input: choice.model, on: true }]);
  }

  #row(adapter: Adapter) {
    const { adapters, busy, say } = this;
    const others = (on: boolean) => adapters.map((other) => (other === adapter ? { ...adapter, on } : other));
    return html`<div class="row">
      <label
        ><input
          type="checkbox"
          role="switch"
          .checked=${adapter.on}
          ?disabled=${busy}
          @change=${({ target }: Event) => this.#use(others((target as HTMLInputElement).checked))}
        />${adapter.name}</label
      >
      <button
        aria-label=${say('adapterRemoveNamed', { name: adapter.name })}
        ?disabled=${busy}
        @click=${() => this.#use(adapters.filter((other) => other !== adapter))}
      >
        ${say('adapterRemove')}
      </button>
    </div>`;
  }

  override render() {
    const { say, busy, session } = this;
    if (session.info?.source !== 'device') return html`<p class="muted">${say('adapterNoModel')}</p>`;
    return html`<p class="muted">${say('adapterWhat')}</p>
      ${this.adapters.map((adapter) => this.#row(adapter))}
      <form @submit=${this.#add}>
        <div class="row">
          <input
            name="adapter"
            required
            autocomplete="off"
            spellcheck="false"
            aria-label=${say('adapterName')}
          />
          <button type="submit" ?disabled=${busy}>${say('adapterAdd')}</button>
          <button type="button" ?disabled=${busy} @click=${this.#pick}>${say('adapterFolder')}</button>
        </div>
      </form>
      <p role="status" class="muted">${busy ? say('adapterBusy') : nothing}</p>
      <nibble-error .error=${this.error} fatal></nibble-error>`;
  }
}

defineElement('nibble-adapters', AdapterList);
