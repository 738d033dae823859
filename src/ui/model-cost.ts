import { css, html, LitElement, nothing } from 'lit';
import { property, query } from 'lit/decorators.js';
import type { ModelCost as Cost } from '../protocol';
import { define } from './define';
import { formatBytes, formatCount } from './format';
import type { ModelChoice } from './model-choice';
import { theme } from './theme';

/** "98 MB, once", "98 MB, of which 40 MB are here", "Nothing: it is on this device" */
export function describeDownload({ bytes, storedBytes, here }: Cost): string {
  if (here) return 'nothing: it is on this device';
  const size = formatBytes(bytes);
  return storedBytes > 0 ? `${size}, of which ${formatBytes(Math.min(storedBytes, bytes))} are here` : `${size}, once`;
}

/** What a chosen model would take, and the button that loads it. Events: `load`, `back`. */
export class ModelCost extends LitElement {
  @property({ attribute: false }) choice!: ModelChoice;
  /** null while it is being found out */
  @property({ attribute: false }) cost: Cost | null = null;
  /** the name of the model that makes room for it */
  @property() replaces = '';
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
        grid-template-columns: auto 1fr;
        gap: 0.3rem 1.2rem;
        font-variant-numeric: tabular-nums;
      }
      dt {
        color: var(--_muted);
      }
      .warning {
        color: var(--_danger);
      }
      .actions {
        display: flex;
        flex-wrap: wrap;
        gap: 0.5rem;
      }
    `,
  ];

  /** The next step is the button, as soon as it is there. */
  override updated(changed: Map<string, unknown>) {
    if (changed.has('cost') && this.cost) this.button?.focus();
  }

  #tell(event: 'load' | 'back') {
    this.dispatchEvent(new Event(event));
  }

  #facts(cost: Cost) {
    const { family, parameters, contextLength, memory, tokens, fits, suggestions, lastAttempt } = cost;
    const row = (term: string, id: string, text: string) => html`<dt>${term}</dt><dd data-cost=${id}>${text}</dd>`;
    return html`<dl>
        ${row('Download', 'download', describeDownload(cost))}
        ${row('Memory', 'memory', `about ${formatBytes(memory)} for a chat of ${tokens} tokens`)}
        ${row('Model', 'model', `${family}, ${formatCount(parameters)} parameters`)}
        ${row('Context', 'context', `${contextLength.toLocaleString('en')} tokens`)}
      </dl>
      ${fits ? nothing : html`<p class="warning">It does not fit here. ${suggestions[0] ?? ''}</p>`}
      ${lastAttempt ? html`<p class="warning">${lastAttempt.message}</p>` : nothing}`;
  }

  override render() {
    const { choice, cost } = this;
    const { model, revision } = choice;
    const address = typeof model === 'string' && model !== choice.name ? model : '';
    return html`
      <div>
        <h3>${choice.name}</h3>
        ${address ? html`<div class="muted address">${address}${revision ? ` @ ${revision}` : ''}</div>` : nothing}
      </div>
      <div role="status">${cost ? this.#facts(cost) : html`<p class="muted">Looking at the model…</p>`}</div>
      ${
        cost && this.replaces
          ? html`<p class="muted">${this.replaces} makes room for it. The conversation stays.</p>`
          : nothing
      }
      <div class="actions">
        ${
          cost
            ? html`<button class="primary" @click=${() => this.#tell('load')}>
                ${cost.here ? 'Load' : `Load (${formatBytes(cost.bytes)})`}
              </button>`
            : nothing
        }
        <button @click=${() => this.#tell('back')}>Back</button>
      </div>
    `;
  }
}

define('nibble-cost', ModelCost);
