import { css, html, LitElement, nothing } from 'lit';
import { property, query, state } from 'lit/decorators.js';
import type { Inspection } from '../engine';
import type { NibbleError } from '../errors';
import { rememberBudget } from '../ui/memory/budget';
import '../ui/conversation/chat-view';
import { defineElement } from '../ui/define-element';
import '../ui/models/drop-target';
import type { ChatSession } from '../ui/conversation/session';
import type { ChosenOptions } from '../ui/memory/memory-words';
import type { ModelChoice } from '../ui/models/model-choice';
import type { ModelLibrary } from '../ui/models/model-library';
import type { ModelsDialog } from '../ui/models/models-dialog';
import { theme } from '../ui/theme';
import type { KeptChat } from './kept-chat';
import './kept-setting';
import { STARTERS } from './starters';

/** The chat page: what this is in one sentence, one conversation, and the models to have it with. */
export class ChatPage extends LitElement {
  @property({ attribute: false }) session: ChatSession | null = null;
  @property({ attribute: false }) library: ModelLibrary | null = null;
  /** what keeps the conversation; null: nothing does */
  @property({ attribute: false }) kept: KeptChat | null = null;
  /** reloads into a newer version of the page, when there is one */
  @property({ attribute: false }) newVersion: (() => void) | null = null;
  @state() private talking = false;
  /** of the model that the page offers, and that model */
  @state() private offered: { inspection: Inspection; model: ModelChoice['model'] } | null = null;
  /** the person has moved the memory limit, and has not loaded anything under it yet */
  #limited = false;
  @query('nibble-models') private dialog!: ModelsDialog;

  static override styles = [
    theme,
    css`
      :host {
        display: flex;
        flex-direction: column;
        height: 100dvh;
        max-width: 46rem;
        margin: 0 auto;
        padding: 0 max(1.25rem, env(safe-area-inset-left)) max(1rem, env(safe-area-inset-bottom));
      }
      header {
        display: flex;
        align-items: center;
        gap: 1rem;
        min-height: 4rem;
      }
      .brand {
        display: flex;
        align-items: center;
        gap: 0.55rem;
        margin-right: auto;
        font-weight: 650;
        letter-spacing: -0.01em;
      }
      .brand svg {
        width: 1.35rem;
        height: 1.35rem;
        fill: var(--_accent);
      }
      .promise {
        text-align: right;
        text-wrap: balance;
        line-height: 1.3;
      }
      main {
        flex: 1;
        min-height: 0;
        display: flex;
        flex-direction: column;
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
    if (!changed.has('session')) return;
    this.session?.addEventListener('change', this.#changed);
    this.#changed();
  }

  /** The dialog's code is fetched when it is first needed. */
  async #models(show: (dialog: ModelsDialog) => Promise<void>) {
    await import('../ui/models/models-dialog');
    await show(this.dialog);
  }

  #choose = ({ detail }: CustomEvent<ModelChoice>) => void this.#models((dialog) => dialog.open(detail));
  #refuse = ({ detail }: CustomEvent<NibbleError>) => void this.#models((dialog) => dialog.refuse(detail));

  override render() {
    return html`
      <header>
        <div class="brand" role=${this.talking ? 'heading' : nothing} aria-level=${this.talking ? 1 : nothing}>
          <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 1a11 11 0 1 0 11 11h-4a7 7 0 0 1-7-7zM15 3h4v4h-4zM19 7h4v4h-4z" /></svg>
          Nibble
        </div>
        ${
          this.talking
            ? html`<button @click=${() => this.session?.newChat()}>New chat</button>`
            : html`<span class="muted promise">Nothing leaves this device</span>`
        }
        <button
          aria-haspopup="dialog"
          ?disabled=${this.session === null}
          @click=${() => this.#models((dialog) => dialog.open())}
        >
          Models
        </button>
      </header>
      <main>
        ${
          this.newVersion
            ? html`<div class="update" role="status"><span>A new version of this page is ready.</span>
                <button class="primary" @click=${this.newVersion}>Reload</button></div>`
            : nothing
        }
        ${
          this.session
            ? html`<nibble-view .session=${this.session} .starters=${STARTERS} @budget=${this.#limit}>
                <div slot="intro">
                  <h1>A language model that lives in this page.</h1>
                  <p class="intro">
                    It runs on your own GPU through WebGPU, or on the CPU where there is none. Once it is here, it works
                    offline.
                  </p>
                </div>
                ${this.#cost(this.session)}
              </nibble-view>`
            : nothing
        }
      </main>
      ${
        this.session
          ? html`<nibble-drop @choose=${this.#choose} @refuse=${this.#refuse}></nibble-drop>
              <nibble-models .session=${this.session} .library=${this.library} @budget=${this.#limit}>
                ${this.kept ? html`<nibble-kept slot="conversation" .kept=${this.kept}></nibble-kept>` : nothing}
              </nibble-models>`
          : nothing
      }
    `;
  }
}

defineElement('nibble-page', ChatPage);
