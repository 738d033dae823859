import { css, html, nothing } from 'lit';
import { property, state } from 'lit/decorators.js';
import { classMap } from 'lit/directives/class-map.js';
import type { ModelInfo, StoredModel } from '../../protocol';
import { defineElement } from '../define-element';
import { formatBytes, formatMemory, formatRate } from '../format';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import { CARDS, MORE_CARDS, type ModelCard } from './cards';
import type { ModelChoice } from './model-choice';
import { CARD_TOKENS, type DeviceFacts, fitOf, memoryOf, slownessOf, UNKNOWN_DEVICE } from './model-fit';
import { formatCount } from './model-words';

/** as load() is given it */
const modelOf = ({ repository, file }: ModelCard) => (file ? `${repository}/${file}` : repository);

/** In its own direction, whichever way the text around it goes. */
const apart = (text: string) => `\u2068${text}\u2069`;

/** The models that the page suggests. Event: `choose` (ModelChoice). */
export class ModelCards extends SpokenElement {
  /** address of what stands for the Hub */
  @property() hub?: string;
  @property({ attribute: false }) device: DeviceFacts = UNKNOWN_DEVICE;
  /** what this browser keeps */
  @property({ attribute: false }) kept: readonly StoredModel[] = [];
  @property({ attribute: false }) loaded: ModelInfo | null = null;
  /** the one that comes with the page */
  @property({ attribute: false }) standard!: ModelChoice;
  @state() private more = false;

  static override styles = [
    theme,
    css`
      :host {
        display: grid;
        gap: 0.75rem;
      }
      .cards {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(min(16.5rem, 100%), 1fr));
        gap: 0.75rem;
      }
      article {
        display: grid;
        grid-template-rows: auto 1fr auto;
        gap: 0.5rem;
        min-width: 0;
        padding: 0.9rem 1rem;
        border: 1px solid transparent;
        border-radius: var(--_radius);
        background: var(--_surface);
      }
      article.first {
        border-color: color-mix(in oklab, var(--_accent) 45%, transparent);
      }
      header,
      footer {
        display: flex;
        align-items: center;
        justify-content: space-between;
        gap: 0.5rem 0.75rem;
      }
      header {
        align-items: baseline;
      }
      h4 {
        font-size: 1rem;
        line-height: 1.35;
        letter-spacing: -0.005em;
        margin: 0;
        overflow-wrap: anywhere;
      }
      .size {
        white-space: nowrap;
        font-variant-numeric: tabular-nums;
      }
      p {
        margin: 0;
        font-size: 0.9375em;
        line-height: 1.45;
      }
      .fit {
        font-size: 0.8125em;
        font-weight: 600;
        line-height: 1.35;
      }
      .fit::before {
        content: '';
        display: inline-block;
        width: 0.5em;
        height: 0.5em;
        margin-inline-end: 0.5em;
        border-radius: 50%;
        background: currentColor;
      }
      .fits {
        color: var(--_accent);
      }
      .unknown {
        color: var(--_muted);
      }
      .tight {
        color: light-dark(#7a5200, #f0c36a);
      }
      .over {
        color: var(--_danger);
      }
      footer button {
        flex: none;
        font-size: 0.9375em;
        background: var(--_background);
      }
      details {
        font-size: 0.8125em;
        color: var(--_muted);
        margin-top: 0.3rem;
      }
      summary {
        cursor: pointer;
        width: fit-content;
        border-radius: 4px;
      }
      dl {
        display: grid;
        grid-template-columns: auto 1fr;
        gap: 0.1rem 0.75rem;
        margin: 0.4rem 0 0;
        overflow-wrap: anywhere;
      }
      dd {
        margin: 0;
        min-width: 0;
      }
      .gate {
        display: grid;
        gap: 0.4rem;
        margin-top: 0.5rem;
        font-size: 0.875em;
      }
      .gate a {
        color: inherit;
        overflow-wrap: anywhere;
      }
      input {
        font: inherit;
        font-size: 1rem;
        color: inherit;
        width: 100%;
        padding: 0.35rem 0.7rem;
        border: 1px solid var(--_border);
        border-radius: var(--_radius);
        background: var(--_background);
      }
      .more {
        justify-self: start;
      }
    `,
  ];

  #languages({ languages }: ModelCard): string {
    if (typeof languages === 'number') return this.say('cardLanguages', { count: languages });
    if (languages[0] === 'mul') return this.say('cardManyLanguages');
    if (languages.length > 2) return this.say('cardLanguagesExactly', { count: languages.length });
    const names = new Intl.DisplayNames([this.language], { type: 'language' });
    const all = languages.map((language) => names.of(language) ?? language);
    return new Intl.ListFormat(this.language, { type: 'conjunction' }).format(all);
  }

  /** What stands below a card: where it is, or whether it would fit. */
  #state(card: ModelCard): [kind: string, text: string] {
    const { say, device } = this;
    const name = modelOf(card);
    const same = (model: Pick<StoredModel, 'name' | 'revision'>) =>
      model.name === name && (!card.revision || model.revision === card.revision);
    if (this.loaded && same(this.loaded)) return ['fits', say('cardLoaded')];
    if (this.kept.some((model) => same(model) && model.complete)) return ['fits', say('cardKept')];
    const fit = fitOf(card, device);
    const rate = slownessOf(card, device);
    if (fit === 'over') return ['over', say('cardTooLarge')];
    if (rate !== null) {
      const put = { rate: formatRate(rate, this.language) };
      return ['tight', say(device.measured ? 'cardSlow' : 'cardProbablySlow', put)];
    }
    if (fit === 'tight') return ['tight', say('cardTight')];
    return fit === 'fits' ? ['fits', say('cardFits')] : ['unknown', say('cardUnknown')];
  }

  #choose(choice: ModelChoice) {
    this.dispatchEvent(new CustomEvent('choose', { detail: choice }));
  }

  #take(card: ModelCard, event: Event) {
    const field = (event.currentTarget as HTMLElement).closest('article')!.querySelector('input');
    const token = field?.value.trim();
    const { hub } = this;
    this.#choose({
      model: modelOf(card),
      name: card.name,
      ...(card.revision && { revision: card.revision }),
      ...(token && { token }),
      ...(hub && { hub }),
    });
  }

  #facts(card: ModelCard) {
    const { say } = this;
    const row = (term: string, text: unknown) => (text ? html`<dt>${term}</dt><dd>${text}</dd>` : nothing);
    const exact = (count: number) => count.toLocaleString(this.language);
    return html`<details>
      <summary>${say('cardDetails')}<span class="unseen">: ${card.name}</span></summary>
      <dl>
        ${row(say('cardRepository'), card.repository)} ${row(say('cardFile'), card.file)}
        ${row(say('cardBytes'), card.bytes && exact(card.bytes))}
        ${row(say('cardStored'), card.stored)}
        ${row(say('cardRevision'), card.revision ?? say('cardNoRevision'))}
        ${row(say('cardMemory'), say('cardMemoryFor', { memory: formatMemory(memoryOf(card), this.language), tokens: CARD_TOKENS }))}
        ${row(say('cardSource'), `${card.source} (${card.seen})`)}
      </dl>
    </details>`;
  }

  /** What a person does before a gated model can be fetched. */
  #gate({ repository, name }: ModelCard) {
    const address = `${this.hub ?? 'https://huggingface.co'}/${repository}`;
    return html`<div class="gate">
      <span
        >${this.say('cardGated')}
        <a href=${address} target="_blank" rel="noreferrer">${address.replace(/^https?:\/\//, '')}</a></span
      >
      <label>
        <span class="unseen">${name}: </span>${this.say('cardToken')}
        <input type="password" autocomplete="off" placeholder="hf_…" />
      </label>
    </div>`;
  }

  #card(card: ModelCard) {
    const [kind, text] = this.#state(card);
    const { say } = this;
    return html`<article aria-label=${card.name}>
      <header>
        <h4>${card.name}</h4>
        <span class="muted size" dir="auto">${card.bytes ? formatBytes(card.bytes, this.language) : say('cardSizeAsked')}</span>
      </header>
      <div>
        <p>${say(card.goodAt)}</p>
        <p class="muted">
          <bdi>${this.#languages(card)}</bdi> · <bdi>${say('cardParameters', { count: apart(formatCount(card.parameters, this.language)) })}</bdi>
          · <bdi>${card.licence}</bdi>
        </p>
        ${this.#facts(card)} ${card.gated ? this.#gate(card) : nothing}
      </div>
      <footer>
        <span class=${classMap({ fit: true, [kind]: true })}>${text}</span>
        <button aria-label=${say('chooseNamed', { name: card.name })} @click=${(event: Event) => this.#take(card, event)}>
          ${say('choose')}
        </button>
      </footer>
    </article>`;
  }

  #standard() {
    const { say, standard } = this;
    return html`<article class="first" aria-label=${standard.name}>
      <header><h4>${standard.name}</h4></header>
      <div>
        <p>${say('cardStandard')}</p>
        <p class="muted">${say('cardStandardMore')}</p>
      </div>
      <footer>
        <span class="fit fits">${say('cardAnywhere')}</span>
        <button aria-label=${say('chooseNamed', { name: standard.name })} @click=${() => this.#choose(standard)}>
          ${say('choose')}
        </button>
      </footer>
    </article>`;
  }

  override render() {
    const { more, say } = this;
    return html`<div class="cards">
        ${this.#standard()} ${CARDS.map((card) => this.#card(card))}
        ${more ? MORE_CARDS.map((card) => this.#card(card)) : nothing}
      </div>
      <button class="more" aria-expanded=${more} @click=${() => (this.more = !more)}>
        ${more ? say('cardFewer') : say('cardMore', { count: MORE_CARDS.length })}
      </button>`;
  }
}

defineElement('nibble-model-cards', ModelCards);
