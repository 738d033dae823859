import { css, html, LitElement, nothing } from 'lit';
import { property, state } from 'lit/decorators.js';
import { isStored, load } from '../engine';
import { asNibbleError, NibbleError } from '../errors';
import '../ui/chat-view';
import { modelName } from '../ui/model-choice';
import { OPTION_NAMES, parseModel, parseOptions } from '../ui/options';
import { previewModel } from '../ui/preview';
import { ChatSession } from '../ui/session';
import { theme } from '../ui/theme';
import type { NibbleChatElement } from './element';

const OWN_NAMES = ['model', 'system', 'heading', 'placeholder', 'starters', 'max-new-tokens'];
/** What any HTML element may carry. */
const GLOBAL =
  /^(id|class|style|slot|hidden|title|lang|dir|tabindex|part|exportparts|role|inert|translate|is|nonce|data-.*|aria-.*|on.*)$/;
const EVENTS = ['ready', 'progress', 'message', 'error'] as const;

/**
 * `<nibble-chat model="https://example.org/models/name/">`: a chat with a model that runs in the visitor's browser.
 * Nothing is fetched before the visitor opens it, and no weights before they have seen how many megabytes they are.
 *
 * Attributes: model (URL, path or Hub id), system, heading, placeholder, starters (one question a line),
 * max-new-tokens, and every option of the engine (ui/options.ts). They are read when the visitor opens the chat; an
 * unknown one is refused in the open. Events, all of which bubble out of shadow trees: nibble-ready (detail: ModelInfo),
 * nibble-progress (Progress), nibble-message (ChatMessage), nibble-error (NibbleError). Looks: the custom properties of
 * ui/theme.ts, and ::part(card | load | model | progress | user | assistant | composer | stats | error | open).
 */
export class NibbleChat extends LitElement implements NibbleChatElement {
  @property() model = '';
  @property() heading = 'Ask a model that runs in this page';
  @property() placeholder = 'Ask something';
  @property() system = '';
  @property() starters = '';
  @state() private session: ChatSession | null = null;

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
      nibble-view {
        flex: 1;
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
    const names = this.getAttributeNames();
    const unknown = names.find((name) => ![...OWN_NAMES, ...OPTION_NAMES].includes(name) && !GLOBAL.test(name));
    if (unknown) {
      const known = [...OWN_NAMES, ...OPTION_NAMES];
      const text = `<nibble-chat> knows no attribute "${unknown}". It knows: ${known.join(', ')}.`;
      throw new NibbleError('invalid-option', text, { option: unknown, known });
    }
    const options = names.filter((name) => OPTION_NAMES.includes(name));
    const tokens = this.getAttribute('max-new-tokens');
    if (tokens !== null && !/^[1-9]\d*$/.test(tokens)) {
      const text = `max-new-tokens is "${tokens}"; it must be a whole number of at least 1.`;
      throw new NibbleError('invalid-option', text, { option: 'max-new-tokens', value: tokens });
    }
    const model = parseModel(this.model, document.baseURI, false);
    return new ChatSession(load, {
      choice: { model, name: modelName(model) },
      engine: parseOptions(options.map((name) => [name, this.getAttribute(name) ?? ''] as const)),
      sampling: tokens === null ? {} : { maxNewTokens: Number(tokens) },
      system: this.system || undefined,
    });
  }

  /** Opens the chat as a click does: shows what there is to download, and loads at once what is already here, unless the
   * tab died of that last time. */
  async open(): Promise<void> {
    if (this.session) return;
    let refused: NibbleError | null = null;
    let session: ChatSession;
    try {
      session = this.#configure();
    } catch (thrown) {
      refused = asNibbleError(thrown);
      session = new ChatSession(load, { choice: { model: '', name: '' }, engine: {}, sampling: {} });
    }
    for (const type of EVENTS) {
      session.addEventListener(type, (event) => {
        const { detail } = event as CustomEvent<unknown>;
        this.dispatchEvent(new CustomEvent(`nibble-${type}`, { detail, bubbles: true, composed: true }));
      });
    }
    this.session = session;
    if (refused) return session.report(refused);
    const preview = await previewModel(session.choice, isStored);
    session.offer(preview);
    if (preview.here && !preview.lastAttempt) await session.load();
  }

  /** Ends the worker, and frees the model's memory. */
  override disconnectedCallback() {
    super.disconnectedCallback();
    void this.session?.dispose();
    this.session = null;
  }

  override render() {
    if (this.session) {
      const starters = this.starters.split('\n').map((line) => line.trim());
      return html`<nibble-view
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
