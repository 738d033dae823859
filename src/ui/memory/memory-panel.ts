import { css, html, nothing } from 'lit';
import { property, state } from 'lit/decorators.js';
import type { Inspection } from '../../engine';
import type { PlanInfo, PlanOffer } from '../../protocol';
import { defineElement } from '../define-element';
import { formatMemory } from '../format';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import { budgetAt, LAST_PLACE, placeOf } from './budget';
import { type ChosenOptions, describeLength, describeOptions, judge, queryFor, takeOffer } from './memory-words';

/** 2,000 words */
const LONG_CHAT_TOKENS = 2667;

const capitalised = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/**
 * What a model takes before it is loaded: for a chat of some length and for its full context, beside what this device
 * probably allows and the limit that the person sets; where it does not fit, what would. Everything is planned again at
 * once. Events: `budget` (number | null, crosses shadow roots), `choose` (ChosenOptions, for load()).
 */
export class MemoryPanel extends SpokenElement {
  @property({ attribute: false }) inspection!: Inspection;
  /** bytes, or null for no limit */
  @property({ attribute: false }) budget: number | null = null;
  /** one line, which opens; where the model does not fit it is open from the start */
  @property({ type: Boolean }) compact = false;
  @state() private tokens = 0;
  @state() private chosen: ChosenOptions = {};
  @state() private plan: PlanInfo | null = null;
  @state() private offers: readonly PlanOffer[] = [];
  /** of a compact one: opened by what did not fit, and then the person's to close */
  @state() private opened = false;
  /** counts the questions, so that a late answer is nobody's */
  #asked = 0;

  static override styles = [
    theme,
    css`
      :host {
        font-variant-numeric: tabular-nums;
      }
      .all {
        display: grid;
        gap: 0.8rem;
      }
      summary {
        cursor: pointer;
        border-radius: 4px;
      }
      details .all {
        margin-top: 0.8rem;
      }
      p,
      dl,
      dd,
      ul {
        margin: 0;
        padding: 0;
      }
      dl {
        display: grid;
        grid-template-columns: 6.5rem 1fr;
        gap: 0.3rem 1rem;
      }
      dt,
      label > span {
        color: var(--_muted);
      }
      select {
        font: inherit;
        color: inherit;
        max-width: 100%;
        padding: 0.1rem 0.3rem;
        border: 1px solid var(--_border);
        border-radius: 8px;
        background: var(--_background);
      }
      .verdict {
        font-weight: 600;
      }
      .verdict::before {
        content: '';
        display: inline-block;
        width: 0.6em;
        height: 0.6em;
        margin-inline-end: 0.5em;
        border-radius: 50%;
        background: var(--_accent);
      }
      .tight::before {
        background: none;
        border: 2px solid var(--_accent);
      }
      .over {
        color: var(--_danger);
      }
      .over::before {
        background: var(--_danger);
        border-radius: 0;
      }
      .limit {
        display: grid;
        grid-template-columns: 6.5rem 1fr auto;
        align-items: center;
        gap: 0.2rem 1rem;
      }
      input {
        min-width: 0;
        width: 100%;
        margin: 0;
        accent-color: var(--_accent);
      }
      .when {
        grid-column: 2 / -1;
      }
      output {
        min-width: 5.5em;
        text-align: end;
      }
      ul {
        display: grid;
        justify-items: start;
        gap: 0.4rem;
        list-style: none;
      }
      li > button {
        text-align: start;
        border-radius: var(--_radius);
      }
      .chosen {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.4rem 1rem;
      }
      @media (max-width: 30rem) {
        dl {
          grid-template-columns: 1fr;
          gap: 0;
        }
        dd + dt {
          margin-top: 0.4rem;
        }
        .limit {
          grid-template-columns: 1fr auto;
        }
        .limit input {
          grid-column: 1 / -1;
          grid-row: 2;
        }
        .when {
          grid-column: 1 / -1;
        }
      }
    `,
  ];

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has('inspection')) {
      const { cost } = this.inspection;
      Object.assign(this, { tokens: cost.tokens, chosen: {}, plan: cost.plan, offers: cost.plan.offers });
    }
    if (changed.has('inspection') || changed.has('budget')) void this.#replan();
    const { plan, budget, inspection } = this;
    if (plan && judge(plan, budget, inspection.cost.deviceEstimate, this.say).verdict === 'over') this.opened = true;
  }

  /** The plan of what is chosen now, and what would fit the limit, or else the device, if that does not. */
  async #replan() {
    const asked = ++this.#asked;
    const { inspection, tokens, chosen, budget } = this;
    const { bytes } = inspection.cost.deviceEstimate;
    const query = queryFor(tokens, chosen, budget);
    try {
      const plan = await inspection.plan(query);
      const isLarge = plan.fits && plan.peak > bytes;
      const { offers } = isLarge ? await inspection.plan({ ...query, memoryBudget: bytes }) : plan;
      if (asked === this.#asked) Object.assign(this, { plan, offers });
    } catch {
      // the worker was ended with the dialog, or on the way to another model
    }
  }

  #choose(chosen: ChosenOptions, tokens: number) {
    Object.assign(this, { chosen, tokens });
    this.dispatchEvent(new CustomEvent('choose', { detail: chosen }));
    void this.#replan();
  }

  #limit = (event: Event) => {
    const detail = budgetAt(Number((event.target as HTMLInputElement).value));
    this.dispatchEvent(new CustomEvent('budget', { detail, bubbles: true, composed: true }));
  };

  #length = (event: Event) => {
    this.tokens = Number((event.target as HTMLSelectElement).value);
    void this.#replan();
  };

  #lengths(): number[] {
    const { tokens: short, contextLength } = this.inspection.cost;
    const longest = this.chosen.maxContext ?? contextLength;
    const lengths = [short, LONG_CHAT_TOKENS, this.tokens].filter((tokens) => tokens < longest);
    return [...new Set([...lengths, longest])].sort((a, b) => a - b);
  }

  #offer(offer: PlanOffer) {
    const options = takeOffer(offer, this.tokens);
    if (Object.keys(options).length === 0) return html`<li class="muted">${offer.text}</li>`;
    const take = () => this.#choose({ ...this.chosen, ...options }, options.maxContext ?? this.tokens);
    return html`<li><button data-offer=${offer.kind} @click=${take}>
      ${capitalised(describeOptions(options, this.say))}: ${formatMemory(offer.total, this.language)}
    </button></li>`;
  }

  #facts({ peak, kv, kvFullContext }: PlanInfo) {
    const { contextLength, deviceEstimate } = this.inspection.cost;
    const option = (tokens: number) =>
      html`<option value=${tokens} ?selected=${tokens === this.tokens}>${describeLength(tokens, this.say)}</option>`;
    return html`<dl>
      <dt>${this.say('memory')}</dt>
      <dd data-cost="memory">
        ${this.say('memoryForChat', { memory: formatMemory(peak, this.language) })}
        <select aria-label=${this.say('chatLength')} @change=${this.#length}>${this.#lengths().map(option)}</select>
      </dd>
      <dt>${this.say('memoryCache')}</dt>
      <dd data-cost="cache">
        ${this.say('memoryCacheFor', {
          now: formatMemory(kv, this.language),
          tokens: this.tokens,
          full: formatMemory(kvFullContext, this.language),
          all: contextLength,
        })}
      </dd>
      <dt>${this.say('thisDevice')}</dt>
      <dd data-cost="device">
        ${this.say('deviceAllows', { memory: formatMemory(deviceEstimate.bytes, this.language) })}
        <div class="muted">${deviceEstimate.reason}</div>
      </dd>
    </dl>`;
  }

  override render() {
    const { plan, inspection, budget } = this;
    if (!plan) return nothing;
    const { bytes } = inspection.cost.deviceEstimate;
    const judged = judge(plan, budget, inspection.cost.deviceEstimate, this.say, this.language);
    if (!this.compact) return this.#all(plan, judged);
    return html`<details ?open=${this.opened}>
      <summary class="muted">
        ${this.say('memoryNeeded', {
          memory: formatMemory(plan.peak, this.language),
          chat: describeLength(this.tokens, this.say),
          device: formatMemory(bytes, this.language),
        })}
      </summary>
      ${this.#all(plan, judged)}
    </details>`;
  }

  #all(plan: PlanInfo, { verdict, sentence }: ReturnType<typeof judge>) {
    const { budget, chosen } = this;
    const limit = budget === null ? this.say('noLimit') : formatMemory(budget, this.language);
    return html`<div class="all">
      ${this.#facts(plan)}
      <label class="limit">
        <span>${this.say('memoryLimitLabel')}</span>
        <input
          type="range"
          min="0"
          max=${LAST_PLACE}
          step="1"
          .value=${String(placeOf(budget))}
          aria-valuetext=${limit}
          @input=${this.#limit}
        />
        <output data-cost="limit">${limit}</output>
        <span class="when muted">${this.say('fromNextLoad')}</span>
      </label>
      <div role="status">
        <p class="verdict ${verdict}" data-cost="verdict">${sentence}</p>
        ${verdict === 'over' && this.offers.length > 0 ? html`<p class="muted">${this.say('wouldFit')}</p>` : nothing}
      </div>
      ${verdict === 'over' ? html`<ul>${this.offers.map((offer) => this.#offer(offer))}</ul>` : nothing}
      ${
        Object.keys(chosen).length > 0
          ? html`<div class="chosen">
              <span data-cost="chosen">${this.say('chosenOptions', { options: describeOptions(chosen, this.say) })}</span>
              <button @click=${() => this.#choose({}, this.inspection.cost.tokens)}>${this.say('undo')}</button>
            </div>`
          : nothing
      }
    </div>`;
  }
}

defineElement('nibble-memory', MemoryPanel);
