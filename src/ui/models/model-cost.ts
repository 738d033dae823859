import { css, html, nothing } from 'lit';
import { property, query, state } from 'lit/decorators.js';
import type { Inspection } from '../../engine';
import type { ModelCost as Cost } from '../../protocol';
import { defineElement } from '../define-element';
import { formatBytes } from '../format';
import '../memory/memory-panel';
import type { ChosenOptions } from '../memory/memory-words';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import type { Say } from '../words/words';
import type { ModelChoice } from './model-choice';
import { formatCount } from './model-words';

/** "98 MB, once", "98 MB, of which 40 MB are here", "nothing: it is on this device" */
export function describeDownload({ bytes, storedBytes, here }: Cost, say: Say, language: string): string {
  if (here) return say('downloadNothing');
  if (bytes === null) return say('downloadNotKnown');
  const size = formatBytes(bytes, language);
  if (storedBytes === 0) return say('downloadSizeOnce', { size });
  return say('downloadPartly', { size, here: formatBytes(Math.min(storedBytes, bytes), language) });
}

/**
 * What a chosen model would take, and the buttons that load it, or keep it for later. Events: `load` and `keep`
 * (ChosenOptions), `back`.
 */
export class ModelCost extends SpokenElement {
  @property({ attribute: false }) choice!: ModelChoice;
  /** null while it is being found out */
  @property({ attribute: false }) inspection: Inspection | null = null;
  /** the person's memory limit, bytes */
  @property({ attribute: false }) budget: number | null = null;
  /** the name of the model that makes room for it */
  @property() replaces = '';
  /** it can be downloaded and kept without being loaded */
  @property({ type: Boolean, attribute: 'may-keep' }) mayKeep = false;
  @state() private chosen: ChosenOptions = {};
  @query('.primary') private button?: HTMLButtonElement;

  static override styles = [
    theme,
    css`
      :host {
        display: grid;
        gap: 1rem;
      }
      h3,
      p,
      dl,
      dd {
        margin: 0;
      }
      h3 {
        font-size: 1.05rem;
        font-weight: 600;
        overflow-wrap: anywhere;
      }
      .address {
        overflow-wrap: anywhere;
      }
      dl {
        display: grid;
        grid-template-columns: 6.5rem 1fr;
        gap: 0.3rem 1rem;
        font-variant-numeric: tabular-nums;
      }
      @media (max-width: 30rem) {
        dl {
          grid-template-columns: 1fr;
          gap: 0;
        }
        dd + dt {
          margin-top: 0.4rem;
        }
      }
      dt {
        color: var(--_muted);
      }
      .facts {
        display: grid;
        gap: 0.3rem;
      }
      /* in reach on the smallest screen, whatever is above */
      .actions {
        position: sticky;
        bottom: 0;
        display: flex;
        flex-wrap: wrap;
        gap: 0.5rem;
        padding: 0.75rem 0;
        border-top: 1px solid var(--_border);
        background: var(--_background);
      }
    `,
  ];

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has('inspection')) this.chosen = {};
  }

  /** The next step is the button, as soon as it is there. */
  override updated(changed: Map<string, unknown>) {
    if (changed.has('inspection') && this.inspection) this.button?.focus();
  }

  #facts(inspection: Inspection) {
    const { cost } = inspection;
    const { family, parameters, lastAttempt } = cost;
    const row = (term: string, id: string, text: string) => html`<dt>${term}</dt><dd data-cost=${id}>${text}</dd>`;
    return html`<dl>
        ${row(this.say('detailModel'), 'model', this.say('familyParameters', { family, count: formatCount(parameters, this.language) }))}
        ${row(this.say('download'), 'download', describeDownload(cost, this.say, this.language))}
      </dl>
      ${lastAttempt ? html`<p class="warning">${lastAttempt.message}</p>` : nothing}
      <nibble-memory
        .inspection=${inspection}
        .budget=${this.budget}
        @choose=${({ detail }: CustomEvent<ChosenOptions>) => {
          this.chosen = detail;
        }}
      ></nibble-memory>`;
  }

  override render() {
    const { choice, inspection } = this;
    const { model, revision } = choice;
    const cost = inspection?.cost;
    const address = typeof model === 'string' && model !== choice.name ? model : '';
    const tell = (type: 'load' | 'keep') => () => this.dispatchEvent(new CustomEvent(type, { detail: this.chosen }));
    const keeps = cost && !cost.here && this.mayKeep;
    const size = cost && !cost.here && cost.bytes !== null ? formatBytes(cost.bytes, this.language) : '';
    return html`
      <div>
        <h3>${choice.name}</h3>
        ${address ? html`<div class="muted address">${address}${revision ? ` @ ${revision}` : ''}</div>` : nothing}
      </div>
      ${
        inspection
          ? html`<div class="facts">${this.#facts(inspection)}</div>`
          : html`<p class="muted" role="status">${this.say('lookingAtModel')}</p>`
      }
      ${cost && this.replaces ? html`<p class="muted">${this.say('makesRoom', { model: this.replaces })}</p>` : nothing}
      ${keeps ? html`<p id="later" class="muted">${this.say('useOfflineSays')}</p>` : nothing}
      <div class="actions">
        ${
          cost
            ? html`<button class="primary" @click=${tell('load')}>
                ${size ? this.say('loadSize', { size }) : this.say('load')}
              </button>`
            : nothing
        }
        ${keeps ? html`<button aria-describedby="later" @click=${tell('keep')}>${this.say('useOffline')}</button>` : nothing}
        <button @click=${() => this.dispatchEvent(new Event('back'))}>${this.say('back')}</button>
      </div>
    `;
  }
}

defineElement('nibble-cost', ModelCost);
