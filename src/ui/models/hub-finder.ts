import { css, html, nothing } from 'lit';
import { property, query, state } from 'lit/decorators.js';
import { asNibbleError, type NibbleError } from '../../errors';
import '../conversation/error-notice';
import { defineElement } from '../define-element';
import { formatBytes } from '../format';
import { SpokenElement } from '../spoken-element';
import { textField } from '../text-field';
import { theme } from '../theme';
import { HUB, type HubEntry, type HubVariant, searchHub, variantsOf } from './hub-search';
import { type ModelChoice, modelName } from './model-choice';

/** Models of the Hub by name, asked when Search is pressed and never while typing. Event: `choose` (ModelChoice). */
export class HubFinder extends SpokenElement {
  /** address of what stands for the Hub */
  @property() hub?: string;
  /** null before the first search */
  @state() private found: readonly HubEntry[] | null = null;
  /** what was searched for last */
  @state() private words = '';
  @state() private busy = false;
  @state() private error: NibbleError | null = null;
  /** of the repository that is open */
  @state() private open: { id: string; variants: readonly HubVariant[] | null } | null = null;
  @query('input') private input!: HTMLInputElement;
  #stop = new AbortController();

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
        gap: 0.5rem;
      }
      input {
        flex: 1 1 11rem;
      }
      label {
        font-size: 0.9375em;
      }
      .found {
        display: grid;
        border-block: 1px solid var(--_border);
      }
      .entry + .entry {
        border-block-start: 1px solid var(--_border);
      }
      .entry > button {
        display: block;
        width: 100%;
        text-align: start;
        border-color: transparent;
        border-radius: 10px;
        padding: 0.6rem 0.5rem;
        overflow-wrap: anywhere;
      }
      .entry > button:hover {
        background: var(--_surface);
      }
      .name {
        font-weight: 600;
      }
      .variants {
        display: flex;
        flex-wrap: wrap;
        gap: 0.4rem;
        padding: 0.1rem 0.5rem 0.8rem;
        font-size: 0.9375em;
      }
      p {
        margin: 0;
      }
    `,
  ];

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.#stop.abort();
  }

  /** One request at a time: the next one ends the last. */
  async #ask<T>(request: (signal: AbortSignal) => Promise<T>, show: (answer: T) => void) {
    this.#stop.abort();
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    Object.assign(this, { busy: true, error: null });
    try {
      const answer = await request(signal);
      if (!signal.aborted) show(answer);
    } catch (thrown) {
      if (!signal.aborted) this.error = asNibbleError(thrown, 'network');
    }
    if (!signal.aborted) this.busy = false;
  }

  #search(event: Event) {
    event.preventDefault();
    const words = this.input.value.trim();
    if (words === '') return;
    Object.assign(this, { found: null, open: null, words });
    void this.#ask(
      (signal) => searchHub(words, this.hub, signal),
      (found) => {
        this.found = found;
      },
    );
  }

  #look(id: string) {
    if (this.open?.id === id) {
      this.open = null;
      return;
    }
    this.open = { id, variants: null };
    void this.#ask(
      (signal) => variantsOf(id, this.hub, signal),
      (variants) => {
        this.open = { id, variants };
      },
    );
  }

  #choose({ model }: HubVariant) {
    const detail: ModelChoice = { model, name: modelName(model), ...(this.hub && { hub: this.hub }) };
    this.dispatchEvent(new CustomEvent('choose', { detail }));
  }

  #entry({ id, downloads, likes, gated, licence }: HubEntry) {
    const { say, open } = this;
    const isOpen = open?.id === id;
    const facts = [say('hubCounts', { downloads, likes }), licence, gated && say('hubGated')];
    return html`<div class="entry">
      <button aria-expanded=${isOpen} @click=${() => this.#look(id)}>
        <span class="name">${id}</span><br />
        <span class="muted">${facts.filter(Boolean).join(' · ')}</span>
      </button>
      ${isOpen && open.variants ? this.#variants(open.variants) : nothing}
    </div>`;
  }

  #variants(variants: readonly HubVariant[]) {
    if (variants.length === 0) return html`<p class="muted variants">${this.say('hubNoVariants')}</p>`;
    return html`<div class="variants">
      ${variants.map(
        (variant) =>
          html`<button @click=${() => this.#choose(variant)}>
            ${variant.label}${variant.bytes === null ? '' : ` · ${formatBytes(variant.bytes, this.language)}`}
          </button>`,
      )}
    </div>`;
  }

  override render() {
    const { say, found } = this;
    const { host } = new URL(this.hub ?? HUB, document.baseURI);
    return html`<form @submit=${this.#search}>
        <label for="words">${say('hubLabel')}</label>
        <div class="row">
          <input id="words" type="search" required autocomplete="off" spellcheck="false" aria-describedby="where" />
          <button type="submit">${say('hubSearch')}</button>
        </div>
        <p id="where" class="muted">${say('hubWhere', { host })}</p>
      </form>
      <p role="status" class="muted">
        ${this.busy ? say('hubAsking', { host }) : found ? say('hubFound', { count: found.length, words: this.words }) : ''}
      </p>
      <nibble-error .error=${this.error} fatal></nibble-error>
      ${found?.length ? html`<div class="found">${found.map((entry) => this.#entry(entry))}</div>` : nothing}`;
  }
}

defineElement('nibble-hub-finder', HubFinder);
