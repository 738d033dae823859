import { css, html, LitElement, nothing } from 'lit';
import { property, state } from 'lit/decorators.js';
import { asNibbleError, type NibbleError, withoutSecrets } from '../../errors';
import type { ModelInfo, StoredModel } from '../../protocol';
import { defineElement } from '../define-element';
import '../conversation/error-notice';
import { formatAgo, formatBytes } from '../format';
import { theme } from '../theme';
import { chooseStored } from './model-choice';
import type { ModelLibrary } from './model-library';

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
export class StoredList extends LitElement {
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
        margin-left: 0.4em;
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
      if (!found) return `Nothing is kept of ${name} any more.`;
      const { checkedBytes, alteredChunks, missingChunks } = found;
      const broken = alteredChunks + missingChunks;
      if (broken === 0) return `${name}: ${formatBytes(checkedBytes)} checked, all as they were stored.`;
      return `${name}: ${broken} ${broken === 1 ? 'piece is' : 'pieces are'} damaged or missing. The next load fetches them again.`;
    });
  }

  #delete(model: StoredModel, name: string) {
    this.doomed = '';
    return this.#act(model.key, async () => {
      await this.library.remove(model);
      return `${name} is deleted.`;
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
    if (this.busy === key) return html`<span class="muted">Working…</span>`;
    if (this.doomed === key) {
      return html`<span>Delete ${formatBytes(storedBytes)}?</span>
        <button class="danger" aria-label="Yes, delete ${name}" @click=${() => this.#delete(model, name)}>Delete</button>
        <button id="keep" aria-label="Keep ${name}" @click=${() => this.#confirm('', `#delete${index}`)}>Keep</button>`;
    }
    if (loaded) return nothing;
    const choice = () => {
      this.dispatchEvent(new CustomEvent('choose', { detail: chooseStored(model, this.library.hub) }));
    };
    const disabled = this.busy !== '';
    return html`<button aria-label="Load ${name}" @click=${choice}>Load</button>
      <button aria-label="Check ${name}" ?disabled=${disabled} @click=${() => this.#check(model, name)}>Check</button>
      <button
        id="delete${index}"
        aria-label="Delete ${name}"
        ?disabled=${disabled}
        @click=${() => this.#confirm(key, '#keep')}
      >
        Delete
      </button>`;
  }

  #model(model: StoredModel, index: number) {
    const { name: address, revision, complete, storedBytes, lastUsed } = model;
    const { name } = chooseStored(model);
    const { loaded } = this;
    const isLoaded = loaded !== null && loaded.name === address && loaded.revision === revision;
    const size = complete ? formatBytes(storedBytes) : `${formatBytes(storedBytes)} so far, not all of it`;
    return html`<li>
      <div class="model">
        <span class="name">${name}</span>${isLoaded ? html`<span class="badge">loaded</span>` : nothing}
        <div class="muted">${withoutSecrets(address).replace(location.origin, '')}</div>
        <div class="muted">${size} · used ${formatAgo(lastUsed)}</div>
      </div>
      <div class="actions">${this.#actions(model, name, isLoaded, index)}</div>
    </li>`;
  }

  #total(models: StoredModel[]) {
    const { room } = this;
    const kept = models.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
    const inAll = models.length > 0 ? `${formatBytes(kept)} in all. ` : '';
    if (!room) return html`<p class="muted">${inAll}</p>`;
    const promise = room.persisted
      ? 'It keeps them until you delete them.'
      : 'It may clear them when the disk is nearly full.';
    return html`<p class="muted">
      ${inAll}This browser has room for about ${formatBytes(Math.max(0, room.quota - room.usage))} more.
      ${models.length > 0 ? promise : ''}
    </p>`;
  }

  override render() {
    const { models } = this;
    if (models === null) return html`<p class="muted" role="status">Looking…</p>`;
    return html`
      ${
        models.length > 0
          ? html`<ul>${models.map((model, index) => this.#model(model, index))}</ul>`
          : html`<p>None yet. What you load from the web is kept here, and works offline.</p>`
      }
      ${this.#total(models)}
      <p role="status">${this.news}</p>
      <nibble-error .error=${this.error} fatal></nibble-error>
    `;
  }
}

defineElement('nibble-stored', StoredList);
