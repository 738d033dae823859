import { css, html, LitElement, nothing } from 'lit';
import { property, state } from 'lit/decorators.js';
import { isStored, load } from '../engine';
import { asNibbleError, type NibbleError } from '../errors';
import '../ui/conversation/chat-view';
import { previewModel } from '../ui/conversation/preview';
import { ChatSession } from '../ui/conversation/session';
import { modelName } from '../ui/models/model-choice';
import { parseModel, parseOptions } from '../ui/options';
import { theme } from '../ui/theme';
import { checkAttributes } from './attributes';
import type { NibbleChatElement } from './element';
import { SharedEngines } from './shared-engines';

/** of all elements on the page */
const engines = new SharedEngines(load);

const EVENTS = ['ready', 'progress', 'message', 'error'] as const;

/**
 * `<nibble-chat model="https://example.org/models/name/">`: a chat with a model that runs in the visitor's browser.
 * Nothing is fetched before the visitor opens it, and no weights before they have seen how many megabytes they are.
 * Several with the same model and options share one worker, and have a conversation each. One that is moved in the page
 * goes on; one that is taken out ends its part, and the last one the worker.
 *
 * Attributes: model (URL, path or Hub id), system, heading, placeholder, starters (one question a line), and every
 * option of the engine and of an answer (ui/options.ts). They are read when the visitor opens the chat; a bad value is
 * refused in the open, and an unknown name passed over, see attributes.ts. Events, all of which bubble out of shadow
 * trees: nibble-ready (detail: ModelInfo), nibble-progress (Progress), nibble-message (ChatMessage), nibble-error
 * (NibbleError). Looks: the custom properties of ui/theme.ts, and ::part(card | load | model | progress | user |
 * assistant | composer | stats | error | open).
 */
export class NibbleChat extends LitElement implements NibbleChatElement {
  @property() model = '';
  @property() heading = 'Ask a model that runs in this page';
  @property() placeholder = 'Ask something';
  @property() system = '';
  @property() starters = '';
  @state() private session: ChatSession | null = null;
  /** about attributes that were mistyped */
  @state() private notice = '';

  static override styles = [
    theme,
    css`
      :host {
        display: flex;
        flex-direction: column;
        min-height: 18rem;
        height: 30rem;
        padding: 1.25rem;
        border: 1px solid var(--_border);
        border-radius: calc(var(--_radius) + 6px);
        background: var(--_background);
        color-scheme: inherit;
      }
      :host([popover]:not(:popover-open)) {
        display: none;
      }
      nibble-view {
        flex: 1;
      }
      .notice {
        max-width: none;
        margin-bottom: 0.75rem;
      }
      .closed {
        margin: auto;
        display: grid;
        justify-items: center;
        gap: 1rem;
        text-align: center;
      }
      h2 {
        font-size: 1.2rem;
        line-height: 1.3;
        margin: 0;
        text-wrap: balance;
      }
      p {
        margin: 0;
        max-width: 26rem;
      }
    `,
  ];

  /** What the attributes ask for. @throws NibbleError invalid-option */
  #configure(): ChatSession {
    const model = parseModel(this.model, document.baseURI, false);
    const given = this.getAttributeNames().map((name) => [name, this.getAttribute(name) ?? ''] as const);
    return new ChatSession(engines.load, {
      choice: { model, name: modelName(model) },
      ...parseOptions(given),
      system: this.system || undefined,
    });
  }

  /**
   * Opens the chat as a click does: shows what there is to download, and loads at once what is already here, unless the
   * tab died of that last time.
   */
  async open(): Promise<void> {
    if (this.session) return;
    this.notice = checkAttributes(this.getAttributeNames());
    let refused: NibbleError | null = null;
    let session: ChatSession;
    try {
      session = this.#configure();
    } catch (thrown) {
      refused = asNibbleError(thrown);
      session = new ChatSession(engines.load, { choice: { model: '', name: '' }, engine: {}, sampling: {} });
    }
    for (const type of EVENTS) {
      session.addEventListener(type, (event) => {
        const { detail } = event as CustomEvent<unknown>;
        this.dispatchEvent(new CustomEvent(`nibble-${type}`, { detail, bubbles: true, composed: true }));
      });
    }
    // by then whoever builds the page has seen it
    session.addEventListener('ready', () => {
      this.notice = '';
    });
    this.session = session;
    if (refused) return session.report(refused);
    const { choice, engineOptions } = session;
    const isShared = engines.has(choice.model, engineOptions);
    const preview = isShared ? { bytes: null, here: true } : await previewModel(choice, isStored);
    // taken out of the page meanwhile
    if (this.session !== session) return;
    session.offer(preview);
    if (preview.here && !preview.lastAttempt) await session.load();
  }

  /** Whoever moves an element takes it out and puts it in again, at once or nearly so. */
  override disconnectedCallback() {
    super.disconnectedCallback();
    setTimeout(() => {
      if (!this.isConnected) this.#close();
    });
  }

  /** Ends the worker, if no other element has a part in it, and frees the model's memory. */
  #close() {
    void this.session?.dispose();
    this.session = null;
    this.notice = '';
  }

  override render() {
    if (this.session) {
      // a framework may set the property to null, or to a list
      const starters = [this.starters ?? '']
        .flat()
        .join('\n')
        .split('\n')
        .map((line) => line.trim());
      return html`${this.notice ? html`<p class="notice muted" role="status">${this.notice}</p>` : nothing}<nibble-view
        exportparts="card, load, model, progress, user, assistant, composer, stats, error"
        .session=${this.session}
        .starters=${starters.filter(Boolean)}
        placeholder=${this.placeholder}
      ></nibble-view>`;
    }
    return html`<div class="closed">
      <h2>${this.heading}</h2>
      <p class="muted">What you type stays on your device. You see the size before anything is downloaded.</p>
      <button class="primary" part="open" @click=${() => void this.open()}>Start a chat</button>
      ${this.model ? html`<span class="muted">${modelName(this.model)}</span>` : nothing}
    </div>`;
  }
}
