/**
 * The list of conversations. It is long because what can be done with one is done in the list itself: opened, renamed
 * in place, pinned, moved, copied, exported, deleted and brought back, by mouse and by keyboard.
 */
import { css, html, nothing } from 'lit';
import { property, query, state } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import { composes } from '../../ui/composes';
import { newId } from '../../ui/conversation/thread';
import { defineElement } from '../../ui/define-element';
import { download } from '../../ui/download';
import { formatBytes } from '../../ui/format';
import { SpokenElement } from '../../ui/spoken-element';
import { theme } from '../../ui/theme';
import { EN_CONVERSATIONS } from '../../ui/words/en-conversations';
import { teach } from '../../ui/words/words';
import type { KeptChat } from '../kept-chat';
import { type Conversation, type Entry, isLater } from './conversation';
import { asJson, asMarkdown, fileName } from './export';
import { groupsOf } from './groups';
import type { ConversationSearch, Found } from './search';
import { isFull, type StoreChange } from './store';

/** How long a deletion can be undone, ms. */
const UNDO_MS = 10_000;
/** After the last key, ms. */
const SEARCH_MS = 150;
const TITLE = 200;

const DOTS = html`<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M5 12h.01M12 12h.01M19 12h.01" /></svg>`;
const PIN = html`<svg class="pin" viewBox="0 0 24 24" aria-hidden="true"><path d="M9 4h6l-1 6 3 3v2H7v-2l3-3zM12 15v5" /></svg>`;

teach(EN_CONVERSATIONS);

/** Event: `chosen`, when a conversation is to be shown. */
export class ConversationList extends SpokenElement {
  @property({ attribute: false }) kept!: KeptChat;
  @state() private entries: readonly Entry[] = [];
  /** what was found; null: nothing is searched for */
  @state() private found: readonly Found[] | null = null;
  @state() private searching = false;
  /** whose title is being changed */
  @state() private renaming: string | null = null;
  /** whose menu is open, and which of its two pages */
  @state() private menu: { id: string; page: 'actions' | 'folders' } | null = null;
  /** the one that Tab reaches */
  @state() private active: string | null = null;
  /** said below the list: what was deleted, what was imported */
  @state() private note = '';
  @state() private deleted: readonly Conversation[] = [];
  @query('#menu') private opened!: HTMLElement | null;
  @query('input[type=file]') private files!: HTMLInputElement;
  @query('input[type=search]') private searchField!: HTMLInputElement;

  #search: Promise<ConversationSearch> | null = null;
  #sought: AbortController | null = null;
  #wait: ReturnType<typeof setTimeout> | undefined;
  #forget: ReturnType<typeof setTimeout> | undefined;
  #unheard: AbortController | null = null;

  static override styles = [
    theme,
    css`
      :host {
        display: flex;
        flex-direction: column;
        gap: 0.5rem;
        font-size: 0.9375rem;
        line-height: 1.4;
      }
      input {
        font: inherit;
        color: inherit;
        width: 100%;
        min-width: 0;
        padding: 0.4em 0.7em;
        border: 1px solid var(--_border);
        border-radius: 10px;
        background: var(--_background);
      }
      input::placeholder {
        color: var(--_muted);
        opacity: 1;
      }
      .list {
        flex: 1;
        min-height: 0;
        overflow-y: auto;
        overscroll-behavior: contain;
        margin-inline: -0.75rem;
        padding-inline: 0.75rem;
        scrollbar-width: thin;
      }
      h2 {
        margin: 0.9rem 0 0.2rem;
        padding-inline: 0.6rem;
        font-size: 0.75rem;
        font-weight: 600;
        color: var(--_muted);
        overflow-wrap: anywhere;
      }
      h2:first-child {
        margin-block-start: 0.25rem;
      }
      h2 svg {
        width: 0.85rem;
        height: 0.85rem;
        vertical-align: -0.1rem;
        margin-inline-end: 0.3rem;
      }
      ul {
        list-style: none;
        margin: 0;
        padding: 0;
      }
      li {
        display: flex;
        align-items: center;
        border-radius: 8px;
        position: relative;
        content-visibility: auto;
        contain-intrinsic-size: auto 2.2rem;
      }
      li:hover,
      li:focus-within,
      li.open {
        background: color-mix(in oklab, var(--_text) 7%, transparent);
      }
      li.current {
        background: color-mix(in oklab, var(--_accent) 14%, transparent);
      }
      a {
        flex: 1;
        min-width: 0;
        padding: 0.42em 0.6rem;
        color: inherit;
        text-decoration: none;
        border-radius: 8px;
      }
      a:focus-visible,
      li button:focus-visible {
        outline-offset: -2px;
      }
      .title,
      .passage {
        display: block;
        overflow: hidden;
        white-space: nowrap;
        text-overflow: ellipsis;
        text-align: match-parent;
      }
      .current .title {
        font-weight: 600;
      }
      .passage {
        font-size: 0.8125rem;
        color: var(--_muted);
      }
      li input {
        margin: 0.1rem;
        padding: 0.25em 0.5rem;
      }
      .more {
        flex: none;
        display: grid;
        place-items: center;
        width: 2rem;
        height: 2rem;
        padding: 0;
        border: none;
        border-radius: 8px;
        color: var(--_muted);
        opacity: 0;
      }
      li:hover .more,
      li:focus-within .more,
      li.open .more,
      li.current .more {
        opacity: 1;
      }
      @media (hover: none) {
        .more {
          opacity: 1;
        }
      }
      .more:hover {
        color: var(--_text);
      }
      svg {
        width: 1.1rem;
        height: 1.1rem;
        fill: none;
        stroke: currentColor;
        stroke-width: 1.75;
        stroke-linejoin: round;
        stroke-linecap: round;
      }
      .more svg {
        stroke-width: 3;
      }
      #menu {
        position: fixed;
        inset: auto;
        margin: 0;
        width: 14rem;
        max-height: min(24rem, 80dvh);
        overflow-y: auto;
        padding: 0.3rem;
        border: 1px solid var(--_border);
        border-radius: 12px;
        color: var(--_text);
        background: var(--_background);
        box-shadow: 0 0.6rem 2rem light-dark(#0002, #0009);
      }
      #menu button {
        display: block;
        width: 100%;
        padding: 0.45em 0.7em;
        text-align: start;
        border: none;
        border-radius: 8px;
        overflow-wrap: anywhere;
      }
      #menu button:hover,
      #menu button:focus {
        background: var(--_surface);
      }
      #menu button:focus-visible {
        outline-offset: -2px;
      }
      #menu button[aria-checked='true'] {
        font-weight: 600;
        color: var(--_accent);
      }
      #menu .danger {
        color: var(--_danger);
      }
      .foot {
        display: grid;
        gap: 0.4rem;
      }
      .toast {
        display: flex;
        align-items: center;
        gap: 0.5rem;
        padding: 0.4rem 0.4rem 0.4rem 0.8rem;
        padding-inline: 0.8rem 0.4rem;
        min-height: 2.6rem;
        border-radius: 10px;
        color: var(--_background);
        background: var(--_text);
      }
      .toast span {
        flex: 1;
      }
      .toast button {
        border-color: color-mix(in oklab, var(--_background) 40%, transparent);
        padding: 0.25em 0.8em;
      }
      .toast :focus-visible {
        outline-color: var(--_background);
      }
      .import {
        justify-self: start;
        border-color: transparent;
        color: var(--_muted);
        padding: 0.3em 0.6rem;
      }
      .import:hover {
        color: var(--_text);
      }
    `,
  ];

  override connectedCallback() {
    super.connectedCallback();
    this.#unheard = new AbortController();
    const { signal } = this.#unheard;
    this.kept.store.addEventListener('change', this.#stored, { signal });
    this.kept.addEventListener('change', () => this.requestUpdate(), { signal });
    void this.#list();
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.#unheard?.abort();
  }

  async #list() {
    this.entries = await this.kept.store.list().catch(() => []);
  }

  /** One entry is read again, not all. */
  #stored = async (event: Event) => {
    const { what, id } = (event as CustomEvent<StoreChange>).detail;
    if (what === 'ask') return;
    const entry = what === 'written' ? await this.kept.store.entry(id).catch(() => undefined) : undefined;
    const others = this.entries.filter((other) => other.id !== id);
    const place = entry ? others.findIndex(({ updated }) => updated <= entry.updated) : -1;
    this.entries = entry ? others.toSpliced(place < 0 ? others.length : place, 0, entry) : others;
  };

  /** Puts the cursor into the search. */
  search(): void {
    this.searchField.focus();
  }

  #type = () => {
    clearTimeout(this.#wait);
    this.#sought?.abort();
    const query = this.searchField.value.trim();
    if (query === '') {
      Object.assign(this, { found: null, searching: false });
      return;
    }
    this.searching = true;
    this.#wait = setTimeout(() => void this.#find(query), SEARCH_MS);
  };

  async #find(query: string) {
    const sought = new AbortController();
    this.#sought = sought;
    this.#search ??= import('./search').then(({ ConversationSearch }) => new ConversationSearch(this.kept.store));
    try {
      const found = await (await this.#search).find(query, 50, sought.signal);
      if (!sought.signal.aborted) Object.assign(this, { found, searching: false });
    } catch {
      this.#search = null;
      if (!sought.signal.aborted) Object.assign(this, { found: [], searching: false });
    }
  }

  /** In the order of the list. */
  #links = (): HTMLAnchorElement[] => [...this.renderRoot.querySelectorAll<HTMLAnchorElement>('a')];

  #linkOf = (id: string) => this.renderRoot.querySelector<HTMLAnchorElement>(`a[data-id="${id}"]`);

  async #focus(id: string | null) {
    if (id !== null) this.active = id;
    await this.updateComplete;
    const link = id === null ? null : this.#linkOf(id);
    (link ?? this.searchField).focus();
  }

  #key = (event: KeyboardEvent) => {
    const link = (event.target as HTMLElement).closest('a');
    if (!link) return;
    const { id } = link.dataset;
    const links = this.#links();
    const place = links.indexOf(link);
    const go: Record<string, number> = {
      ArrowDown: Math.min(place + 1, links.length - 1),
      ArrowUp: place - 1,
      Home: 0,
      End: links.length - 1,
    };
    if (event.key in go) void this.#focus(links[go[event.key]]?.dataset.id ?? null);
    else if (event.key === 'F2') this.#rename(id!);
    else if (event.key === 'Delete') void this.#delete(id!);
    else return;
    event.preventDefault();
  };

  #chosen = (id: string, event: MouseEvent) => {
    // a new tab, or the one that is shown
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    this.active = id;
    this.dispatchEvent(new Event('chosen'));
  };

  #rename(id: string) {
    if (this.#isLater(id)) return;
    this.renaming = id;
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLInputElement>('li input')?.select());
  }

  #renamed = async (id: string, title: string | null) => {
    if (this.renaming !== id) return;
    this.renaming = null;
    const cut = title?.trim().slice(0, TITLE);
    const focus = this.#focus(id);
    if (cut) await this.#try(() => this.kept.store.change(id, () => ({ title: cut, titled: 'person' })));
    await focus;
  };

  #isLater = (id: string) => {
    const entry = this.entries.find((other) => other.id === id);
    return entry !== undefined && isLater(entry);
  };

  /** What the store refuses is said. */
  async #try(action: () => Promise<unknown>) {
    try {
      await action();
    } catch {
      this.note = this.say('notKept');
    }
  }

  #delete = async (id: string) => {
    const links = this.#links();
    const place = links.findIndex((link) => link.dataset.id === id);
    const next = links[place + 1] ?? links[place - 1];
    await this.#try(async () => {
      if (id === this.kept.id) await this.kept.written;
      const conversation = await this.kept.store.read(id);
      await this.kept.store.remove(id);
      if (!conversation) return;
      this.deleted = [...this.deleted, conversation];
      this.note = this.say('conversationsDeleted', { count: this.deleted.length });
      this.#linger();
    });
    await this.#focus(next?.dataset.id ?? null);
  };

  #linger = () => {
    clearTimeout(this.#forget);
    this.#forget = setTimeout(() => {
      // who is about to undo it has time
      if (this.renderRoot.querySelector('.toast:is(:hover, :focus-within)')) return this.#linger();
      Object.assign(this, { deleted: [], note: '' });
      void this.kept.deleteOutdated();
    }, UNDO_MS);
  };

  #undo = async () => {
    clearTimeout(this.#forget);
    const back = this.deleted;
    await this.#try(async () => {
      await this.kept.store.add(back);
      Object.assign(this, { deleted: [], note: this.say('deletionUndone') });
    });
    await this.#list();
    await this.#focus(back.at(-1)?.id ?? null);
  };

  /** @param button where the menu opens */
  async #openMenu(id: string, button: HTMLElement) {
    this.active = id;
    this.menu = { id, page: 'actions' };
    await this.updateComplete;
    const { opened } = this;
    if (!opened) return;
    opened.showPopover();
    const { bottom, top, left, right } = button.getBoundingClientRect();
    const { width, height } = opened.getBoundingClientRect();
    const isRtl = getComputedStyle(this).direction === 'rtl';
    const x = isRtl ? right - width : left;
    const below = bottom + height < innerHeight ? bottom : Math.max(8, top - height);
    opened.style.setProperty('top', `${below}px`);
    opened.style.setProperty('left', `${Math.max(8, Math.min(x, innerWidth - width - 8))}px`);
    this.#items()[0]?.focus();
  }

  #items = () => [...(this.opened?.querySelectorAll<HTMLElement>('button, input') ?? [])];

  #menuKey = (event: KeyboardEvent) => {
    const items = this.#items();
    const place = items.indexOf(this.shadowRoot!.activeElement as HTMLElement);
    const isText = items[place]?.localName === 'input';
    const go: Record<string, number> = {
      ArrowDown: (place + 1) % items.length,
      ArrowUp: (place + items.length - 1) % items.length,
      ...(!isText && { Home: 0, End: items.length - 1 }),
    };
    if (event.key in go) items[go[event.key]].focus();
    else if (event.key === 'Tab') this.opened?.hidePopover();
    else if (event.key === 'Escape') {
      // the drawer stays
      event.stopPropagation();
      this.opened?.hidePopover();
    } else return;
    event.preventDefault();
  };

  #menuClosed = ({ newState }: ToggleEvent) => {
    if (newState !== 'closed' || !this.menu) return;
    const { id } = this.menu;
    this.menu = null;
    if (this.renaming === null) void this.#focus(id);
  };

  /** The menu has done what it was opened for. */
  #act(action: (id: string) => unknown) {
    return () => {
      const { id } = this.menu!;
      this.opened?.hidePopover();
      void action(id);
    };
  }

  /** It may stand elsewhere in the list then. */
  #change = async (id: string, change: (entry: Entry) => Partial<Entry>) => {
    await this.#try(() => this.kept.store.change(id, change));
    await this.#list();
    await this.updateComplete;
    if (this.shadowRoot!.activeElement === null) await this.#focus(id);
  };

  #duplicate = async (id: string) => {
    await this.#try(async () => {
      if (id === this.kept.id) await this.kept.written;
      const conversation = await this.kept.store.read(id);
      if (!conversation) return;
      const now = Date.now();
      const title = this.say('copyTitle', { title: this.#title(conversation) }).slice(0, TITLE);
      const copy = { ...conversation, id: newId(), title, created: now, updated: now, cache: '', cached: false };
      await this.kept.store.add([{ ...copy, titled: 'person', pinned: false }]);
      await this.#list();
      await this.#focus(copy.id);
    });
  };

  #export = async (id: string, how: 'md' | 'json') => {
    if (id === this.kept.id) await this.kept.written;
    const conversation = await this.kept.store.read(id);
    if (!conversation) return;
    const name = fileName(this.#title(conversation), how);
    if (how === 'md') download(name, new Blob([asMarkdown(conversation)], { type: 'text/markdown' }));
    else download(name, new Blob([asJson([conversation])], { type: 'application/json' }));
  };

  #import = async () => {
    const chosen = [...(this.files.files ?? [])];
    this.files.value = '';
    const { IMPORT_BYTES, readConversations } = await import('./import');
    const conversations: Conversation[] = [];
    let all = 0;
    for (const file of chosen) {
      if (file.size > IMPORT_BYTES) {
        const most = formatBytes(IMPORT_BYTES, this.language);
        this.note = this.say('importTooLarge', { name: file.name, size: formatBytes(file.size, this.language), most });
        return;
      }
      const read = readConversations(await file.text().catch(() => ''), this.kept.address);
      if (read.conversations.length === 0) {
        this.note = this.say('importNothing', { name: file.name });
        return;
      }
      conversations.push(...read.conversations);
      all += read.all;
    }
    if (conversations.length === 0) return;
    const count = conversations.length;
    try {
      await this.kept.store.add(conversations);
      this.note = count === all ? this.say('imported', { count }) : this.say('importedLess', { count, all });
    } catch (error) {
      this.note = isFull(error) ? this.say('importNoRoom', { count }) : this.say('notKept');
    }
    await this.#list();
  };

  #title = ({ title }: Pick<Entry, 'title'>) => title || this.say('untitled');

  #row(entry: Entry, tabbed: string | null, passage = '') {
    const { id } = entry;
    const title = this.#title(entry);
    const isCurrent = id === this.kept.id;
    if (this.renaming === id)
      return html`<li>
        <input
          .value=${title}
          maxlength=${TITLE}
          aria-label=${this.say('titleOf')}
          @keydown=${(event: KeyboardEvent) => {
            if (composes(event)) return;
            if (event.key === 'Enter') void this.#renamed(id, (event.target as HTMLInputElement).value);
            if (event.key === 'Escape') {
              // the drawer stays
              event.preventDefault();
              event.stopPropagation();
              void this.#renamed(id, null);
            }
          }}
          @blur=${({ target }: FocusEvent) => void this.#renamed(id, (target as HTMLInputElement).value)}
        />
      </li>`;
    const tabindex = id === tabbed ? 0 : -1;
    return html`<li class="${isCurrent ? 'current' : ''} ${this.menu?.id === id ? 'open' : ''}">
      <a
        href="#/c/${id}"
        data-id=${id}
        tabindex=${tabindex}
        title=${title}
        aria-current=${isCurrent ? 'page' : nothing}
        @click=${(event: MouseEvent) => this.#chosen(id, event)}
        @focus=${() => {
          this.active = id;
        }}
        ><span class="title" dir="auto">${title}</span>${passage ? html`<span class="passage" dir="auto">${passage}</span>` : nothing}</a
      ><button
        class="more"
        tabindex=${tabindex}
        aria-label=${this.say('actionsFor', { title })}
        aria-haspopup="menu"
        aria-expanded=${this.menu?.id === id}
        @click=${({ currentTarget }: MouseEvent) => void this.#openMenu(id, currentTarget as HTMLElement)}
      >
        ${DOTS}
      </button>
    </li>`;
  }

  #rows(entries: readonly Entry[], tabbed: string | null, passages?: ReadonlyMap<string, string>) {
    return html`<ul>
      ${repeat(
        entries,
        ({ id }) => id,
        (entry) => this.#row(entry, tabbed, passages?.get(entry.id)),
      )}
    </ul>`;
  }

  #results(found: readonly Found[]) {
    const passages = new Map(found.map(({ id, passage }) => [id, passage]));
    const byId = new Map(this.entries.map((entry) => [entry.id, entry]));
    const entries = found.flatMap(({ id }) => byId.get(id) ?? []);
    const tabbed = this.active !== null && passages.has(this.active) ? this.active : (entries[0]?.id ?? null);
    return html`<p class="muted">${entries.length === 0 ? this.say('foundNothing') : this.say('found', { count: entries.length })}</p>
      ${this.#rows(entries, tabbed, passages)}`;
  }

  #days() {
    const groups = groupsOf(this.entries, this.say, this.language);
    const isHere = (id: string | null) => this.entries.some((entry) => entry.id === id);
    const first = groups[0]?.entries[0]?.id ?? null;
    const tabbed = isHere(this.active) ? this.active : isHere(this.kept.id) ? this.kept.id : first;
    return repeat(
      groups,
      ({ key }) => key,
      ({ key, name, entries }) =>
        html`<h2>${key === 'pinned' ? PIN : nothing}${name}</h2>${this.#rows(entries, tabbed)}`,
    );
  }

  #item = (name: string, action: (id: string) => unknown, kind = '') =>
    html`<button role="menuitem" class=${kind} @click=${this.#act(action)}>${name}</button>`;

  #actions({ id, pinned, ...entry }: Entry) {
    const toFolders = async () => {
      this.menu = { id, page: 'folders' };
      await this.updateComplete;
      this.#items()[0]?.focus();
    };
    const later = isLater(entry);
    return html`
      ${
        later
          ? nothing
          : html`${this.#item(this.say('rename'), (chosen) => this.#rename(chosen))}
              ${this.#item(this.say(pinned ? 'unpin' : 'pin'), () => this.#change(id, (now) => ({ pinned: !now.pinned })))}
              <button role="menuitem" aria-haspopup="menu" @click=${toFolders}>${this.say('moveToFolder')}</button>
              ${this.#item(this.say('duplicate'), this.#duplicate)}`
      }
      ${this.#item(this.say('exportMarkdown'), (chosen) => this.#export(chosen, 'md'))}
      ${this.#item(this.say('exportJson'), (chosen) => this.#export(chosen, 'json'))}
      ${this.#item(this.say('delete'), this.#delete, 'danger')}
    `;
  }

  #folders({ id, folder }: Entry) {
    const names = [...new Set(this.entries.flatMap((entry) => entry.folder ?? []))].sort();
    const move = (to: string | null) => () => this.#change(id, () => ({ folder: to }));
    const choice = (name: string, to: string | null) =>
      html`<button role="menuitemradio" aria-checked=${folder === to} @click=${this.#act(move(to))}>${name}</button>`;
    return html`${choice(this.say('noFolder'), null)}${names.map((name) => choice(name, name))}
      <input
        placeholder=${this.say('newFolder')}
        aria-label=${this.say('newFolder')}
        maxlength="60"
        @keydown=${(event: KeyboardEvent) => {
          if (event.key !== 'Enter' || composes(event)) return;
          const name = (event.target as HTMLInputElement).value.trim();
          if (name) this.#act(move(name))();
        }}
      />`;
  }

  #menu() {
    const entry = this.menu && this.entries.find(({ id }) => id === this.menu?.id);
    if (!entry || !this.menu) return nothing;
    const isFolders = this.menu.page === 'folders';
    return html`<div
      id="menu"
      popover
      role=${isFolders ? 'group' : 'menu'}
      aria-label=${isFolders ? this.say('moveToFolder') : this.say('actionsFor', { title: this.#title(entry) })}
      @keydown=${this.#menuKey}
      @toggle=${this.#menuClosed}
    >
      ${isFolders ? this.#folders(entry) : this.#actions(entry)}
    </div>`;
  }

  override render() {
    const { found, note, deleted } = this;
    return html`
      <input
        type="search"
        placeholder=${this.say('searchConversations')}
        aria-label=${this.say('searchConversations')}
        @input=${this.#type}
        @keydown=${(event: KeyboardEvent) => {
          if (event.key !== 'ArrowDown') return;
          event.preventDefault();
          const [first] = this.#links();
          if (first) void this.#focus(first.dataset.id!);
        }}
      />
      <div class="list" aria-busy=${this.searching} @keydown=${this.#key}>
        ${found ? this.#results(found) : this.#days()}
      </div>
      <div class="foot">
        <div role="status">
          ${
            note
              ? html`<div class="toast"><span>${note}</span>${
                  deleted.length > 0
                    ? html`<button @click=${this.#undo}>${this.say('undo')}</button>`
                    : html`<button
                        @click=${() => {
                          this.note = '';
                        }}
                      >
                        ${this.say('close')}
                      </button>`
                }</div>`
              : nothing
          }
        </div>
        <button class="import" @click=${() => this.files.click()}>${this.say('importConversations')}</button>
        <input type="file" hidden multiple accept=".json,.jsonl,application/json" @change=${this.#import} />
      </div>
      ${this.#menu()}
    `;
  }
}

defineElement('nibble-conversations', ConversationList);
