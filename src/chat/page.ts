/**
 * The chat page: what this is in one sentence, conversations, and the models to have them with. It is long because it
 * says which part of the page stands where, and styles that.
 */
import { css, html, nothing } from 'lit';
import { property, query, state } from 'lit/decorators.js';
import type { Inspection } from '../engine';
import type { NibbleError } from '../errors';
import { rememberBudget } from '../ui/memory/budget';
import '../ui/conversation/chat-view';
import type { Draft } from '../ui/composer/draft';
import type { ChatView } from '../ui/conversation/chat-view';
import { defineElement } from '../ui/define-element';
import '../ui/models/drop-target';
import type { ChatSession } from '../ui/conversation/session';
import type { ChosenOptions } from '../ui/memory/memory-words';
import type { ModelChoice } from '../ui/models/model-choice';
import type { ModelLibrary } from '../ui/models/model-library';
import type { ModelsDialog } from '../ui/models/models-dialog';
import { SpokenElement } from '../ui/spoken-element';
import { theme } from '../ui/theme';
import { COMPOSER_TOOLS } from './composer-tools';
import './frame';
import type { ConversationList } from './conversations/sidebar';
import type { PageFrame } from './frame';
import { iconButton } from './icon-button';
import type { KeptChat, NamedModel } from './kept-chat';
import { openMenu, openSettings } from './page-commands';
import { STARTERS } from './starters';
import './top-bar';

const GHOST = html`<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M5 20V11a7 7 0 0 1 14 0v9l-2.4-2-2.3 2-2.3-2-2.3 2-2.3-2zM9.5 11v.1M14.5 11v.1" /></svg>`;
const PENCIL = html`<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 5H5v14h14v-7M18 3l3 3-9 9H9v-3z" /></svg>`;

const GEAR = html`<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 7h9m5 0h2M4 17h2m5 0h9M13 7a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0zM6 17a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0z" /></svg>`;

/** The chat page. */
export class ChatPage extends SpokenElement {
  @property({ attribute: false }) session: ChatSession | null = null;
  @property({ attribute: false }) library: ModelLibrary | null = null;
  /** what keeps the conversation; null: nothing does */
  @property({ attribute: false }) kept: KeptChat | null = null;
  /** begins to keep what is said, where that waits for the first answer */
  @property({ attribute: false }) keep: (() => Promise<KeptChat | null>) | null = null;
  /** what loads a conversation's model again */
  @property({ attribute: false }) choose: ((model: NamedModel) => ModelChoice) | null = null;
  /** one line above the composer, about the page as an app */
  @property({ attribute: false }) notice: HTMLElement | null = null;
  /** reloads into a newer version of the page, when there is one */
  @property({ attribute: false }) newVersion: (() => void) | null = null;
  @state() private talking = false;
  /** there are conversations, and the code of their list is here */
  @state() private listed = false;
  /** of the model that the page offers, and that model */
  @state() private offered: { inspection: Inspection; model: ModelChoice['model'] } | null = null;
  /** the person has moved the memory limit, and has not loaded anything under it yet */
  #limited = false;
  @query('nibble-models') private dialog!: ModelsDialog;
  @query('nibble-frame') private frame!: PageFrame;
  @query('nibble-view') private view!: ChatView | null;

  static override styles = [
    theme,
    iconButton,
    css`
      :host {
        display: block;
      }
      .bar {
        display: flex;
        align-items: center;
        gap: 1rem;
      }
      .column {
        display: flex;
        flex-direction: column;
        min-height: 0;
        gap: 0.5rem;
        padding: 0.75rem;
      }
      .column > * {
        margin: 0;
      }
      .begin {
        display: flex;
        align-items: center;
        gap: 0.4rem;
      }
      .short[aria-pressed='true']:not(:hover) {
        color: var(--_on-accent);
        background: var(--_accent);
      }
      nibble-conversations {
        flex: 1;
        min-height: 0;
      }
      .new {
        flex: 1;
        display: flex;
        align-items: center;
        gap: 0.6rem;
        text-align: start;
        padding: 0.5em 0.8em;
        border-radius: 10px;
        background: var(--_background);
      }
      .new svg,
      .icon svg {
        width: 1.15rem;
        height: 1.15rem;
        fill: none;
        stroke: currentColor;
        stroke-width: 1.75;
        stroke-linejoin: round;
      }
      .brand {
        display: flex;
        align-items: center;
        gap: 0.55rem;
        margin-inline-end: auto;
        font-weight: 650;
        letter-spacing: -0.01em;
      }
      .brand svg {
        width: 1.35rem;
        height: 1.35rem;
        fill: var(--_accent);
      }
      .more {
        font-size: 1.5rem;
        line-height: 1;
      }
      @media (min-width: 720px) {
        .more {
          display: none;
        }
      }
      @media (max-width: 719px) {
        .promise,
        .gear:not(.more) {
          display: none;
        }
      }
      .promise {
        text-align: end;
        text-wrap: balance;
        line-height: 1.3;
      }
      main {
        flex: 1;
        min-height: 0;
        display: flex;
        flex-direction: column;
        width: 100%;
        max-width: 48.5rem;
        margin-inline: auto;
        padding-inline: max(1.25rem, env(safe-area-inset-left)) max(1.25rem, env(safe-area-inset-right));
        padding-block-end: max(1rem, env(safe-area-inset-bottom));
      }
      nibble-view {
        flex: 1;
      }
      h1 {
        font-size: clamp(1.6rem, 5.5vw, 2.4rem);
        line-height: 1.15;
        letter-spacing: -0.025em;
        font-weight: 650;
        text-wrap: balance;
        margin: 0 0 0.6rem;
      }
      .intro {
        color: var(--_muted);
        max-width: 36rem;
        margin: 0 0 0.6rem;
        text-wrap: pretty;
      }
      /* its code comes when it is first opened */
      nibble-models:not(:defined) {
        display: none;
      }
      .update {
        display: flex;
        align-items: center;
        gap: 1rem;
        padding: 0.5rem 0.5rem 0.5rem 1rem;
        margin-bottom: 0.75rem;
        border-radius: 999px;
        background: var(--_surface);
      }
      .update span {
        flex: 1;
      }
    `,
  ];

  #changed = () => {
    if (!this.listed && this.session?.phase === 'ready') void this.#list();
    this.talking = (this.session?.messages.length ?? 0) > 0;
    // there is a model now: what it would take is asked no more
    if (this.offered && this.session?.phase === 'ready') {
      this.offered.inspection.close();
      this.offered = null;
    }
    if (this.#limited && this.session?.phase === 'loading') {
      this.#limited = false;
      rememberBudget(this.session.memoryBudget);
    }
    // no more often: an answer changes with every token
    if (this.session?.phase === 'idle') this.requestUpdate();
  };

  /** Shows in the offer what the model would take; without it, what there is to download is still said. */
  async showCost({ model, name: _, options: __, ...hub }: ModelChoice): Promise<void> {
    const { library, session } = this;
    if (!library || !session) return;
    try {
      const looking = library.inspect(model, { ...session.engineOptions, ...hub, sizes: false });
      const [inspection] = await Promise.all([looking, import('../ui/memory/memory-panel')]);
      this.offered = { inspection, model };
      this.#changed();
    } catch {
      // loading it will tell why
    }
  }

  /** It counts from the next load, and is remembered then. */
  #limit = ({ detail }: CustomEvent<number | null>) => {
    this.#limited = true;
    if (this.session) this.session.memoryBudget = detail;
  };

  #cost(session: ChatSession) {
    if (this.offered?.model !== session.choice.model) return nothing;
    return html`<nibble-memory
      slot="cost"
      compact
      .inspection=${this.offered.inspection}
      .budget=${session.memoryBudget}
      @choose=${({ detail }: CustomEvent<ChosenOptions>) => session.adjust(detail)}
    ></nibble-memory>`;
  }

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has('kept') && this.kept) {
      this.kept.addEventListener('change', this.#keptChanged);
      this.#keptChanged();
    }
    if (!changed.has('session')) return;
    this.session?.addEventListener('change', this.#changed);
    this.#changed();
  }

  /** The dialog's code is fetched when it is first needed. */
  async #models(show: (dialog: ModelsDialog) => Promise<void>) {
    await Promise.all([import('../ui/models/models-dialog'), import('./kept-setting')]);
    await show(this.dialog);
  }

  override focus() {
    this.view?.focus();
  }

  /** Begins another conversation. */
  newChat(): void {
    this.#newChat();
  }

  /** Begins one of which nothing is kept, or ends it. */
  temporaryChat(): void {
    void this.#temporary();
  }

  /** Shows the list, where there is one, with the cursor in its search. */
  async searchConversations(): Promise<void> {
    this.frame.open = true;
    await this.#list();
    await this.updateComplete;
    this.renderRoot.querySelector<ConversationList>('nibble-conversations')?.search();
  }

  toggleConversations(): void {
    this.frame.open = !this.frame.open;
  }

  /** Shows the dialog in which a model is chosen; with a choice, what that would take. */
  openModels(choice?: ModelChoice): void {
    void this.#models((dialog) => dialog.open(choice));
  }

  /** Puts what was shared with the page into the composer. */
  async receive({ text, files }: { text: string; files: File[] }): Promise<void> {
    await this.updateComplete;
    await this.view?.attach(files, text);
  }

  #newChat(temporary = false) {
    if (this.kept) this.kept.newChat(temporary);
    else this.session?.newChat();
    this.#chosen();
  }

  #temporary = async () => {
    const kept = this.kept ?? (await this.keep?.());
    if (kept) this.#newChat(!kept.temporary);
  };

  /** What is on show is what the person wants to go on with. */
  #chosen = () => {
    this.frame.closeDrawer();
    this.view?.focus();
  };

  /** The list's code is fetched when there is something in it, and nothing else is under way. */
  #list = async () => {
    const { kept, session } = this;
    if (this.listed || !kept || session?.phase === 'answering') return;
    if (kept.id === null && (await kept.store.list().catch(() => [])).length === 0) return;
    await import('./conversations/sidebar');
    this.listed = true;
  };

  #keptChanged = () => {
    this.requestUpdate();
    void this.#list();
  };

  #choose = ({ detail }: CustomEvent<ModelChoice>) => this.openModels(detail);
  #attach = (event: CustomEvent<File[]>) => {
    event.preventDefault();
    void this.view?.attach(event.detail);
  };
  #refuse = ({ detail }: CustomEvent<NibbleError>) => void this.#models((dialog) => dialog.refuse(detail));

  override render() {
    return html`
      <nibble-frame .label=${this.say('conversations')}>
        <div slot="column" class="column">
          <div class="begin">
            <button class="new" @click=${() => this.#newChat()}>${PENCIL}${this.say('newChat')}</button>
            ${
              this.kept || this.keep
                ? html`<button
                    class="short icon"
                    aria-label=${this.say('temporaryChat')}
                    title=${this.say('temporaryChat')}
                    aria-pressed=${this.kept?.temporary ?? false}
                    @click=${this.#temporary}
                  >
                    ${GHOST}
                  </button>`
                : nothing
            }
          </div>
          ${
            this.listed
              ? html`<nibble-conversations .kept=${this.kept} @chosen=${this.#chosen}></nibble-conversations>`
              : html`<p class="muted">${this.say('noConversations')}</p>`
          }
        </div>
        <button slot="short" class="icon" aria-label=${this.say('newChat')} @click=${() => this.#newChat()}>${PENCIL}</button>
        <div slot="bar" class="bar">
          <div class="brand" role=${this.talking ? 'heading' : nothing} aria-level=${this.talking ? 1 : nothing}>
            <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 1a11 11 0 1 0 11 11h-4a7 7 0 0 1-7-7zM15 3h4v4h-4zM19 7h4v4h-4z" /></svg>
            Nibble
          </div>
          ${this.talking ? nothing : html`<span class="muted promise">${this.say('promise')}</span>`}
          <nibble-top-bar
            .session=${this.session}
            @models=${() => this.openModels()}
          ></nibble-top-bar>
          <button
            class="gear icon"
            aria-haspopup="dialog"
            aria-label=${this.say('settings')}
            title=${this.say('settings')}
            ?disabled=${this.session === null}
            @click=${() => void openSettings(this)}
          >${GEAR}</button>
          <button class="gear more icon" aria-haspopup="dialog" aria-label=${this.say('more')} @click=${() => void openMenu(this)}>⋯</button>
        </div>
        <main>
          ${
            this.newVersion
              ? html`<div class="update" role="status"><span>${this.say('newVersion')}</span>
                  <button class="primary" @click=${this.newVersion}>${this.say('reload')}</button></div>`
              : nothing
          }
          ${
            this.session && this.kept
              ? html`<nibble-conversation-notice
                  .kept=${this.kept}
                  .session=${this.session}
                  .choose=${this.choose}
                ></nibble-conversation-notice>`
              : nothing
          }
          ${
            this.session
              ? html`<nibble-view .session=${this.session} .starters=${STARTERS} .tools=${COMPOSER_TOOLS}
                  .draft=${this.kept?.draft ?? null}
                  ?readonly=${this.kept?.readOnly ?? false}
                  @draft=${({ detail }: CustomEvent<Draft>) => void this.kept?.keepDraft(detail)}
                  @budget=${this.#limit}
                >
                  <div slot="intro">
                    <h1>${this.say('pageHeading')}</h1>
                    <p class="intro">${this.say('pageIntro')}</p>
                  </div>
                  ${this.#cost(this.session)}
                  ${this.notice}
                </nibble-view>`
              : nothing
          }
        </main>
      </nibble-frame>
      ${
        this.session
          ? html`<nibble-drop @attach=${this.#attach} @choose=${this.#choose} @refuse=${this.#refuse}></nibble-drop>
              <nibble-models .session=${this.session} .library=${this.library} @budget=${this.#limit}>
                ${this.kept ? html`<nibble-kept slot="conversation" .kept=${this.kept}></nibble-kept>` : nothing}
              </nibble-models>`
          : nothing
      }
    `;
  }
}

defineElement('nibble-page', ChatPage);
