import { css, html, nothing } from 'lit';
import { property, state } from 'lit/decorators.js';
import { asNibbleError, type NibbleError, withoutSecrets } from '../../errors';
import type { ModelInfo, StoredModel } from '../../protocol';
import { defineElement } from '../define-element';
import '../conversation/error-notice';
import { formatBytes } from '../format';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import { chooseStored } from './model-choice';
import type { ModelLibrary } from './model-library';
import { formatAgo } from './model-words';

interface Room {
  usage: number;
  quota: number;
  /** the browser promised not to clear it by itself */
  persisted: boolean;
}

async function askRoom(): Promise<Room | null> {
  const { storage } = navigator;
  const [estimate, persisted] = await Promise.all([storage?.estimate?.(), storage?.persisted?.()]);
  return estimate ? { usage: estimate.usage ?? 0, quota: estimate.quota ?? 0, persisted: persisted ?? false } : null;
}

/** The models that this browser keeps: load, check or delete them. Event: `choose` (ModelChoice). */
export class StoredList extends SpokenElement {
  @property({ attribute: false }) library!: ModelLibrary;
  /** of the model that is loaded on this page */
  @property({ attribute: false }) loaded: ModelInfo | null = null;
  /** null while they are being looked for */
  @state() private models: StoredModel[] | null = null;
  @state() private room: Room | null = null;
  @state() private error: NibbleError | null = null;
  /** the key of what is being checked or deleted */
  @state() private busy = '';
  /** the key of what would be deleted, had the person confirmed it */
  @state() private doomed = '';
  /** what came of the last action */
  @state() private news = '';

  static override styles = [
    theme,
    css`
      :host {
        display: grid;
        gap: 0.75rem;
      }
      ul {
        list-style: none;
        margin: 0;
        padding: 0;
      }
      li {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.4rem 1rem;
        padding: 0.7rem 0;
        border-top: 1px solid var(--_border);
      }
      li:last-child {
        border-bottom: 1px solid var(--_border);
      }
      .model {
        flex: 1 1 14rem;
        min-width: 0;
        overflow-wrap: anywhere;
      }
      .name {
        font-weight: 600;
      }
      .badge {
        font-size: 0.75em;
        font-weight: 600;
        color: var(--_accent);
        border: 1px solid currentColor;
        border-radius: 999px;
        padding: 0.05em 0.6em;
        margin-inline-start: 0.4em;
        white-space: nowrap;
      }
      .actions {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.4rem;
        font-size: 0.9375em;
      }
      .danger {
        color: var(--_danger);
        border-color: currentColor;
      }
      p {
        margin: 0;
      }
      p:empty {
        display: none;
      }
    `,
  ];

  override connectedCallback() {
    super.connectedCallback();
    void this.refresh();
  }

  /** Looks again at what is there. */
  async refresh(): Promise<void> {
    try {
      [this.models, this.room] = await Promise.all([this.library.stored(), askRoom()]);
    } catch (thrown) {
      this.models ??= [];
      this.error = asNibbleError(thrown);
    }
  }

  /** One action at a time; what is there afterwards is looked up again. */
  async #act(key: string, action: () => Promise<string>) {
    Object.assign(this, { busy: key, error: null, news: '' });
    try {
      this.news = await action();
    } catch (thrown) {
      this.error = asNibbleError(thrown);
    }
    this.busy = '';
    await this.refresh();
  }

  #check(model: StoredModel, name: string) {
    return this.#act(model.key, async () => {
      const found = await this.library.verify(model);
      if (!found) return this.say('storedGone', { name });
      const { checkedBytes, alteredChunks, missingChunks } = found;
      const broken = alteredChunks + missingChunks;
      if (broken === 0) return this.say('storedChecked', { name, size: formatBytes(checkedBytes, this.language) });
      return this.say('storedBroken', { name, count: broken });
    });
  }

  #delete(model: StoredModel, name: string) {
    this.doomed = '';
    return this.#act(model.key, async () => {
      await this.library.remove(model);
      return this.say('storedDeleted', { name });
    });
  }

  /** Moves the focus along with a button that was replaced. */
  async #confirm(key: string, focus: string) {
    this.doomed = key;
    await this.updateComplete;
    this.renderRoot.querySelector<HTMLElement>(focus)?.focus();
  }

  #actions(model: StoredModel, name: string, loaded: boolean, index: number) {
    const { key, storedBytes } = model;
    if (this.busy === key) return html`<span class="muted">${this.say('working')}</span>`;
    if (this.doomed === key) {
      return html`<span>${this.say('deleteSize', { size: formatBytes(storedBytes, this.language) })}</span>
        <button class="danger" aria-label=${this.say('deleteYes', { name })} @click=${() => this.#delete(model, name)}>${this.say('deleteModel')}</button>
        <button id="keep" aria-label=${this.say('keepNamed', { name })} @click=${() => this.#confirm('', `#delete${index}`)}>${this.say('keepModel')}</button>`;
    }
    if (loaded) return nothing;
    const choice = () => {
      this.dispatchEvent(new CustomEvent('choose', { detail: chooseStored(model, this.library.hub) }));
    };
    const disabled = this.busy !== '';
    return html`<button aria-label=${this.say('loadNamed', { name })} @click=${choice}>${this.say('load')}</button>
      <button aria-label=${this.say('checkNamed', { name })} ?disabled=${disabled} @click=${() => this.#check(model, name)}>${this.say('checkModel')}</button>
      <button
        id="delete${index}"
        aria-label=${this.say('deleteNamed', { name })}
        ?disabled=${disabled}
        @click=${() => this.#confirm(key, '#keep')}
      >
        ${this.say('deleteModel')}
      </button>`;
  }

  #model(model: StoredModel, index: number) {
    const { name: address, revision, complete, storedBytes, lastUsed } = model;
    const { name } = chooseStored(model);
    const { loaded } = this;
    const isLoaded = loaded !== null && loaded.name === address && loaded.revision === revision;
    const size = complete
      ? formatBytes(storedBytes, this.language)
      : this.say('storedSoFar', { size: formatBytes(storedBytes, this.language) });
    return html`<li>
      <div class="model">
        <span class="name">${name}</span>${isLoaded ? html`<span class="badge">${this.say('storedLoaded')}</span>` : nothing}
        <div class="muted">${withoutSecrets(address).replace(location.origin, '')}</div>
        <div class="muted">${size} · ${this.say('usedWhen', { when: formatAgo(lastUsed, Date.now(), this.language) })}</div>
      </div>
      <div class="actions">${this.#actions(model, name, isLoaded, index)}</div>
    </li>`;
  }

  #total(models: StoredModel[]) {
    const { room } = this;
    const kept = models.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
    const inAll = models.length > 0 ? this.say('storedInAll', { size: formatBytes(kept, this.language) }) : '';
    if (!room) return html`<p class="muted">${inAll}</p>`;
    const promise = this.say(room.persisted ? 'storedPromised' : 'storedNotPromised');
    return html`<p class="muted">
      ${inAll} ${this.say('storedRoom', { size: formatBytes(Math.max(0, room.quota - room.usage), this.language) })}
      ${models.length > 0 ? promise : ''}
    </p>`;
  }

  override render() {
    const { models } = this;
    if (models === null) return html`<p class="muted" role="status">${this.say('storedLooking')}</p>`;
    return html`
      ${
        models.length > 0
          ? html`<ul>${models.map((model, index) => this.#model(model, index))}</ul>`
          : html`<p>${this.say('storedNone')}</p>`
      }
      ${this.#total(models)}
      <p role="status">${this.news}</p>
      <nibble-error .error=${this.error} fatal></nibble-error>
    `;
  }
}

defineElement('nibble-stored', StoredList);
