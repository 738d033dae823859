import { css, html, nothing } from 'lit';
import { property, state } from 'lit/decorators.js';
import { asNibbleError, type NibbleError } from '../../errors';
import '../conversation/error-notice';
import { defineElement } from '../define-element';
import { download } from '../download';
import { formatBytes } from '../format';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import type { PhraseName } from '../words/words';
import { formStyles } from './form-styles';
import { isInstalled, isSafari, type Keeping, type StorageFacts, storageFacts } from './storage-facts';

const PARTS: readonly (readonly [part: 'models' | 'caches' | 'conversations' | 'page', name: PhraseName])[] = [
  ['models', 'keptModels'],
  ['caches', 'keptCaches'],
  ['conversations', 'keptConversations'],
  ['page', 'keptPage'],
];

/** What takes how much on this device, whether the browser protects it, and how to take it along or delete it. */
export class StorageSettings extends SpokenElement {
  @property({ attribute: false }) keeping!: Keeping;
  /** null while it is being looked up */
  @state() private facts: StorageFacts | null = null;
  /** what the browser answered when it was asked to protect it */
  @state() private answered: boolean | null = null;
  /** the person has said once that all is to be deleted */
  @state() private doomed = false;
  @state() private busy = false;
  @state() private news: PhraseName | null = null;
  @state() private error: NibbleError | null = null;

  static override styles = [
    theme,
    formStyles,
    css`
      table {
        width: 100%;
        border-collapse: collapse;
        font-variant-numeric: tabular-nums;
      }
      th,
      td {
        padding: 0.5rem 0;
        border-block-end: 1px solid var(--_border);
        text-align: start;
        font-weight: normal;
      }
      td {
        text-align: end;
        padding-inline-start: 1rem;
      }
      section {
        display: grid;
        gap: 0.6rem;
      }
    `,
  ];

  override connectedCallback() {
    super.connectedCallback();
    void this.#look();
  }

  async #look() {
    this.facts = await storageFacts(this.keeping);
  }

  async #do(action: () => Promise<PhraseName | null>) {
    Object.assign(this, { busy: true, error: null, news: null });
    try {
      this.news = await action();
    } catch (thrown) {
      this.error = asNibbleError(thrown);
    }
    this.busy = false;
    await this.#look();
  }

  #protect = () =>
    this.#do(async () => {
      this.answered = (await navigator.storage?.persist?.()) ?? false;
      return null;
    });

  #export = () =>
    this.#do(async () => {
      download(`nibble-${new Date().toISOString().slice(0, 10)}.json`, await this.keeping.exportAll());
      return 'exported';
    });

  #delete = () =>
    this.#do(async () => {
      this.doomed = false;
      await this.keeping.deleteAll();
      return 'allDeleted';
    });

  /** The focus goes along with a button that was replaced. */
  async #doom(doomed: boolean) {
    this.doomed = doomed;
    await this.updateComplete;
    this.renderRoot.querySelector<HTMLElement>(doomed ? '#keep' : '#delete')?.focus();
  }

  #table({ estimate, ...facts }: StorageFacts) {
    return html`<table>
        <tbody>
          ${PARTS.map(
            ([part, name]) => html`<tr data-part=${part}>
              <th scope="row">${this.say(name, { count: facts[part].count })}</th>
              <td dir="auto">${facts[part].count === 0 ? '–' : formatBytes(facts[part].bytes, this.language)}</td>
            </tr>`,
          )}
        </tbody>
      </table>
      ${
        estimate
          ? html`<p class="muted">${this.say('roomLeft', {
              used: formatBytes(estimate.usage, this.language),
              left: formatBytes(Math.max(0, estimate.quota - estimate.usage), this.language),
            })}</p>`
          : nothing
      }`;
  }

  #protection({ persisted }: StorageFacts) {
    const said: PhraseName = persisted ? 'isProtected' : this.answered === false ? 'protectionRefused' : 'notProtected';
    return html`<section aria-labelledby="protection">
      <h3 id="protection">${this.say('protection')}</h3>
      <p role="status" data-protected=${String(persisted)}>${this.say(said)}</p>
      ${isSafari() && !isInstalled() ? html`<p>${this.say('safariDeletes')}</p>` : nothing}
      ${
        persisted
          ? nothing
          : html`<div class="row"><button ?disabled=${this.busy} @click=${this.#protect}>${this.say('askProtection')}</button></div>`
      }
    </section>`;
  }

  override render() {
    const { facts, busy } = this;
    if (!facts) return html`<p class="muted" role="status">${this.say('looking')}</p>`;
    return html`
      <div>${this.#table(facts)}</div>
      ${this.#protection(facts)}
      <section aria-labelledby="everything">
        <h3 id="everything">${this.say('everything')}</h3>
        ${
          this.doomed
            ? html`<p id="doom">${this.say('deleteAllSure')}</p>
                <div class="row">
                  <button id="keep" @click=${() => this.#doom(false)}>${this.say('cancel')}</button>
                  <button class="danger" aria-describedby="doom" ?disabled=${busy} @click=${this.#delete}>${this.say('deleteAllNow')}</button>
                </div>`
            : html`<div class="row">
                <button ?disabled=${busy || facts.conversations.count === 0} @click=${this.#export}>${this.say('exportAll')}</button>
                <button id="delete" class="danger" ?disabled=${busy} @click=${() => this.#doom(true)}>${this.say('deleteAll')}</button>
              </div>`
        }
        <p role="status">${this.news ? this.say(this.news) : ''}</p>
        <nibble-error .error=${this.error} fatal></nibble-error>
      </section>`;
  }
}

defineElement('nibble-storage-settings', StorageSettings);
