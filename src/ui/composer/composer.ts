import { html, nothing } from 'lit';
import { property, query, state } from 'lit/decorators.js';
import { live } from 'lit/directives/live.js';
import type { ModelInfo } from '../../protocol';
import type { Attachments } from '../attachments/attachments';
import { composes } from '../composes';
import { defineElement } from '../define-element';
import type { CountTokens } from '../search/count-tokens';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import { composerStyles } from './composer-styles';
import type { ComposerTools } from './composer-tools';
import { type Draft, EMPTY_DRAFT, isSameDraft } from './draft';
import type { PromptsPanel } from './prompts-panel';
import { Recall } from './recall';
import { promptsFor, type SavedPrompt } from './saved-prompts';

const DRAFT_MS = 300;
/** A longer paste becomes an attachment: some 700 words. */
const LONG_PASTE = 4000;

/** What a send carries. */
export type Sent = Draft;

/**
 * Where a question is typed: Enter sends, Shift+Enter breaks the line, Escape stops, ArrowUp recalls, `/` offers saved
 * prompts. It waits for nobody: what is sent while the model loads or answers is the session's to queue.
 * Events: `send` (Sent), `stop`, `draft` (Draft), which bubbles out of shadow trees.
 */
export class Composer extends SpokenElement {
  @property() placeholder = '';
  /** an answer is being given: what is sent waits for its end */
  @property({ type: Boolean }) busy = false;
  @property({ type: Boolean }) disabled = false;
  /** questions that were asked before, the oldest first; asked for by a key, and shown nowhere */
  history: readonly string[] = [];
  /** what is to stand here; what the person has written since is told by the event `draft` */
  @property({ attribute: false }) draft: Draft | null = null;
  /** null: text alone */
  @property({ attribute: false }) tools: ComposerTools | null = null;
  /** of the model that is here, by which attached files are counted and pictures refused; null: none is */
  @property({ attribute: false }) info: ModelInfo | null = null;
  @property({ attribute: false }) countTokens: CountTokens = async () => null;
  @state() private text = '';
  @state() private offered: readonly SavedPrompt[] = [];
  /** of `offered` */
  @state() private chosen = 0;
  /** the panel of saved prompts has been opened */
  @state() private panel = false;
  /** what is attached; null: nothing was yet, and its code was not fetched */
  @state() private files: Attachments | null = null;
  /** a question waits for its files to be read */
  @state() private waits = false;
  @state() private fault = '';
  @query('textarea') private area!: HTMLTextAreaElement;
  #recall = new Recall();
  #told: Draft = EMPTY_DRAFT;
  #timer: ReturnType<typeof setTimeout> | undefined;

  static override styles = [theme, composerStyles];

  override connectedCallback() {
    super.connectedCallback();
    addEventListener('pagehide', this.#tellNow);
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    removeEventListener('pagehide', this.#tellNow);
    this.#tellNow();
  }

  override focus() {
    this.area?.focus();
  }

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has('info')) this.files?.countWith(this.countTokens, this.info);
    // nobody kept what is written, and now somebody does who has nothing: it stands
    if (changed.get('draft') === null && isSameDraft(this.draft ?? EMPTY_DRAFT, EMPTY_DRAFT)) {
      this.#told = EMPTY_DRAFT;
      this.#tellSoon();
    }
    // what comes back as it was told is no news: more may have been typed since
    if (changed.has('draft') && !isSameDraft(this.draft ?? EMPTY_DRAFT, this.#told)) {
      this.#told = this.draft ?? EMPTY_DRAFT;
      this.text = this.#told.text;
      this.#offer();
      const { attached } = this.#told;
      if (attached.length > 0) void this.#fetchFiles().then((files) => files?.restore(attached));
      else this.files?.restore([]);
    }
  }

  override updated(changed: Map<string, unknown>) {
    if (!changed.has('text') || CSS.supports('field-sizing', 'content')) return;
    // older browsers: as high as the text
    this.area.style.height = 'auto';
    this.area.style.height = `${this.area.scrollHeight}px`;
  }

  #written = (): Draft => ({ text: this.text, attached: this.files?.attached ?? [] });

  /** @returns null where its code cannot be fetched, which is said */
  async #fetchFiles(): Promise<Attachments | null> {
    if (this.files || !this.tools) return this.files;
    try {
      const { Attachments } = await this.tools.files();
      // a second call may have been as fast
      this.files ??= this.#listen(new Attachments());
      this.fault = '';
    } catch {
      this.fault = this.say('fileNoCode');
    }
    return this.files;
  }

  #listen(files: Attachments): Attachments {
    files.addEventListener('change', () => {
      this.requestUpdate();
      this.#tellSoon();
    });
    files.countWith(this.countTokens, this.info);
    return files;
  }

  /** Attaches files, and puts a text below what is written: what is dropped on the page, or shared with it. */
  async attach(files: Iterable<File>, text = ''): Promise<void> {
    const list = [...files];
    // a draft that is to stand here does
    await this.updateComplete;
    if (this.tools && text.length > LONG_PASTE) await this.#pasteLong(text);
    else if (text) this.#write(this.text ? `${this.text}\n${text}` : text);
    if (list.length > 0) (await this.#fetchFiles())?.add(list);
    this.focus();
  }

  #choose = () => {
    const input = Object.assign(document.createElement('input'), { type: 'file', multiple: true });
    input.addEventListener('change', () => void this.attach(input.files ?? []));
    input.click();
  };

  #paste(event: ClipboardEvent) {
    const { clipboardData } = event;
    if (!this.tools || !clipboardData) return;
    const files = [...clipboardData.files];
    const text = clipboardData.getData('text/plain');
    // what is copied from an office program is a picture and a text
    if (files.length > 0 && text === '') {
      event.preventDefault();
      void this.attach(files);
    } else if (text.length > LONG_PASTE) {
      event.preventDefault();
      void this.#pasteLong(text);
    }
  }

  async #pasteLong(text: string) {
    const files = await this.#fetchFiles();
    if (!files) return this.#insert(text);
    const before = files.items.filter(({ pasted }) => pasted).length;
    files.paste(before === 0 ? this.say('pastedText') : `${this.say('pastedText')} ${before + 1}`, text);
  }

  /** Puts a pasted text into the field after all. */
  #unpaste({ detail }: CustomEvent<number>) {
    const text = this.files?.items.find(({ id }) => id === detail)?.attached?.text;
    this.files?.remove(detail);
    if (text) this.#insert(text);
  }

  #remove({ detail }: CustomEvent<number>) {
    this.files?.remove(detail);
    this.focus();
  }

  #insert(text: string) {
    const { area } = this;
    area.focus();
    area.setRangeText(text, area.selectionStart, area.selectionEnd, 'end');
    this.#write(area.value);
  }

  #tellNow = () => {
    clearTimeout(this.#timer);
    const draft = this.#written();
    if (isSameDraft(draft, this.#told)) return;
    this.#told = draft;
    this.dispatchEvent(new CustomEvent('draft', { detail: draft, bubbles: true, composed: true }));
  };

  /** Puts a text into the field, as if it had been typed. */
  #write(text: string) {
    this.text = text;
    this.#offer();
    this.#tellSoon();
  }

  #tellSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#tellNow, DRAFT_MS);
  }

  #offer() {
    this.offered = this.tools && this.text.startsWith('/') ? promptsFor(this.text) : [];
    this.chosen = 0;
  }

  async #send(event: Event) {
    event.preventDefault();
    if (this.files?.busy) {
      if (this.waits) return;
      this.waits = true;
      await this.files.settled;
      this.waits = false;
    }
    const sent: Sent = { ...this.#written(), text: this.text.trim() };
    if (this.disabled || sent.text === '') return;
    this.#recall.reset();
    this.text = this.fault = '';
    this.offered = [];
    this.files?.restore([]);
    this.#tellNow();
    this.dispatchEvent(new CustomEvent('send', { detail: sent }));
  }

  #stop() {
    this.dispatchEvent(new Event('stop'));
  }

  /** @returns whether the menu had a use for the key */
  #menuKey({ key, shiftKey }: KeyboardEvent): boolean {
    const { length } = this.offered;
    if (length === 0 || shiftKey) return false;
    if (key === 'ArrowDown') this.chosen = (this.chosen + 1) % length;
    else if (key === 'ArrowUp') this.chosen = (this.chosen + length - 1) % length;
    else if (key === 'Enter' || key === 'Tab') this.#pick(this.offered[this.chosen]);
    else if (key === 'Escape') this.offered = [];
    else return false;
    return true;
  }

  #pick({ text }: SavedPrompt) {
    this.#write(text);
    this.offered = [];
    void this.updateComplete.then(() => {
      this.area.focus();
      this.area.setSelectionRange(text.length, text.length);
    });
  }

  #key(event: KeyboardEvent) {
    if (composes(event)) return;
    if (this.#menuKey(event)) return event.preventDefault();
    const { key, shiftKey, ctrlKey, altKey, metaKey } = event;
    if (key === 'Enter' && !shiftKey) void this.#send(event);
    if (key === 'Escape' && this.busy) this.#stop();
    if ((key !== 'ArrowUp' && key !== 'ArrowDown') || shiftKey || ctrlKey || altKey || metaKey) return;
    const text = this.#recall.step(this.text, this.history, key === 'ArrowUp' ? 1 : -1);
    if (text === null) return;
    event.preventDefault();
    this.#write(text);
    this.offered = [];
  }

  #openPrompts = async () => {
    await this.tools?.prompts();
    this.panel = true;
    await this.updateComplete;
    this.renderRoot.querySelector<PromptsPanel>('nibble-prompts')?.open(this.text);
  };

  #menu() {
    if (this.offered.length === 0) return nothing;
    return html`<div class="menu" part="menu">
      <ul role="listbox" id="prompts" aria-label=${this.say('savedPrompts')}>
        ${this.offered.map(
          (prompt, index) => html`<li
            role="option"
            id="prompt-${index}"
            aria-selected=${index === this.chosen}
            @pointerdown=${(event: Event) => event.preventDefault()}
            @click=${() => this.#pick(prompt)}
          ><b>/${prompt.name}</b><span class="muted">${prompt.text}</span></li>`,
        )}
      </ul>
      <p class="muted keys">${this.say('promptKeys')}</p>
    </div>`;
  }

  #said(open: boolean, empty: boolean): string {
    if (this.fault) return this.fault;
    if (this.waits) return this.say('fileSendsWhenRead');
    if (open) return this.say('promptsOffered', { count: this.offered.length });
    return this.busy && !empty ? this.say('queueHint') : '';
  }

  override render() {
    const open = this.offered.length > 0;
    const empty = this.text.trim() === '';
    const items = this.files?.items ?? [];
    return html`${this.#menu()}
      <form part="composer" @submit=${this.#send}>
        ${
          items.length > 0
            ? html`<nibble-attachments .items=${items} @remove=${this.#remove} @unpaste=${this.#unpaste}></nibble-attachments>`
            : nothing
        }
        ${
          this.tools
            ? html`<button
                type="button"
                class="tool"
                aria-label=${this.say('attachFiles')}
                title=${this.say('attachFiles')}
                @click=${this.#choose}
              >+</button><button
                type="button"
                class="tool"
                aria-label=${this.say('savedPrompts')}
                title=${this.say('savedPrompts')}
                aria-haspopup="dialog"
                @click=${this.#openPrompts}
              >/</button>`
            : nothing
        }
        <textarea
          dir="auto"
          rows="1"
          aria-label=${this.say('yourQuestion')}
          aria-autocomplete=${this.tools ? 'list' : nothing}
          aria-haspopup=${this.tools ? 'listbox' : nothing}
          aria-controls=${open ? 'prompts' : nothing}
          aria-activedescendant=${open ? `prompt-${this.chosen}` : nothing}
          placeholder=${this.placeholder || this.say('askSomething')}
          ?disabled=${this.disabled}
          .value=${live(this.text)}
          @input=${() => this.#write(this.area.value)}
          @keydown=${this.#key}
          @paste=${this.#paste}
          @blur=${() => {
            this.offered = [];
          }}
        ></textarea>
        ${
          this.busy
            ? html`${
                empty
                  ? nothing
                  : html`<button type="submit" title=${this.say('queueHint')}>${this.say('queue')}</button>`
              }<button type="button" class="primary" @click=${this.#stop}>${this.say('stop')}</button>`
            : html`<button type="submit" class="primary" ?disabled=${this.disabled || empty}>${this.say('send')}</button>`
        }
      </form>
      <span class=${this.waits || this.fault ? 'muted' : 'unseen'} role="status">${this.#said(open, empty)}</span>
      ${
        this.panel
          ? html`<nibble-prompts
              @choose=${({ detail }: CustomEvent<SavedPrompt>) => this.#pick(detail)}
              @close=${() => this.focus()}
            ></nibble-prompts>`
          : nothing
      }`;
  }
}

defineElement('nibble-composer', Composer);
