import { css, html, nothing } from 'lit';
import { property, query, state } from 'lit/decorators.js';
import type { Inspection } from '../../engine';
import { asNibbleError, type NibbleError } from '../../errors';
import { defineElement } from '../define-element';
import '../conversation/error-notice';
import type { ChosenOptions } from '../memory/memory-words';
import './adapter-list';
import { findDevice } from './device-facts';
import './download-list';
import { type Download, Downloads } from './downloads';
import './hub-finder';
import './loaded-model';
import './model-cards';
import './model-cost';
import type { ModelChoice } from './model-choice';
import './model-form';
import type { StoredModel } from '../../protocol';
import type { ChatSession } from '../conversation/session';
import { type DeviceFacts, UNKNOWN_DEVICE } from './model-fit';
import type { ModelForm } from './model-form';
import type { ModelLibrary } from './model-library';
import './server-form';
import type { ServerChoice } from './servers';
import type { StoredList } from './stored-list';
import './stored-list';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import { EN_MODELS } from '../words/en-models';
import { teach } from '../words/words';

teach(EN_MODELS);

/**
 * A dialog in two steps: which model, from the web or from this device; then what it takes, and
 * whether to load it, and under which memory limit. What was typed stays while the dialog is open, and is gone with it.
 * Slot `conversation` stands below the models that are kept. Event: `budget` (number | null), when it is loaded.
 */
export class ModelsDialog extends SpokenElement {
  @property({ attribute: false }) session!: ChatSession;
  @property({ attribute: false }) library!: ModelLibrary;
  @state() private choice: ModelChoice | null = null;
  /** of `choice`; null while it is being found out */
  @state() private inspection: Inspection | null = null;
  @state() private error: NibbleError | null = null;
  /** the memory limit that stands beside the choice, until it is loaded under it */
  @state() private budget: number | null = null;
  @state() private isOpen = false;
  @state() private device: DeviceFacts = UNKNOWN_DEVICE;
  /** what this browser keeps */
  @state() private kept: readonly StoredModel[] = [];
  /** they go on while the dialog is closed */
  readonly #downloads = new Downloads();
  @query('dialog') private dialog!: HTMLDialogElement;
  @query('nibble-model-form') private form?: ModelForm;

  static override styles = [
    theme,
    css`
      dialog {
        width: min(58rem, 100vw - 1.5rem);
        max-height: min(54rem, 100dvh - 1.5rem);
        padding: 0;
        color: inherit;
        background: var(--_background);
        border: 1px solid var(--_border);
        border-radius: calc(var(--_radius) + 6px);
        overflow-y: auto;
        overscroll-behavior: contain;
        /* what has the focus is seen between the title and the buttons */
        scroll-padding: 4.5rem 0;
      }
      dialog::backdrop {
        background: rgb(0 0 0 / 0.45);
      }
      .top {
        position: sticky;
        top: 0;
        z-index: 1;
        display: flex;
        align-items: center;
        justify-content: space-between;
        padding: 0.9rem 1.25rem 0.6rem;
        background: var(--_background);
      }
      .top button {
        padding: 0;
        width: 2.25rem;
        height: 2.25rem;
        line-height: 1;
      }
      h2 {
        font-size: 1.2rem;
        line-height: 1.3;
        letter-spacing: -0.01em;
        margin: 0;
      }
      h3 {
        font-size: 1rem;
        margin: 0;
      }
      .content {
        display: grid;
        gap: 1.75rem;
        padding: 0.4rem 1.25rem 1.5rem;
      }
      nibble-cost.content {
        padding-bottom: 0;
      }
      [hidden] {
        display: none;
      }
      section {
        display: grid;
        gap: 0.9rem;
      }
    `,
  ];

  /** Shows the dialog; with a choice, what that would take. */
  async open(choice?: ModelChoice): Promise<void> {
    if (!this.isOpen) {
      this.budget = this.session.memoryBudget;
      void this.#lookAtDevice();
      void this.#lookAtKept();
    }
    this.isOpen = true;
    await this.updateComplete;
    if (!this.dialog.open) this.dialog.showModal();
    if (choice) await this.#look(choice);
  }

  /** What the cards say of this device. */
  async #lookAtDevice() {
    this.device = await findDevice(this.session, this.library);
  }

  /** And of what it keeps. */
  async #lookAtKept() {
    this.kept = await this.library.stored().catch(() => []);
  }

  /** Shows why what was picked or dropped is no model. */
  async refuse(error: NibbleError): Promise<void> {
    await this.open();
    this.#back(error);
  }

  async #look(choice: ModelChoice) {
    this.#show({ choice, error: null });
    const { model, name: _, options: __, ...access } = choice;
    try {
      const inspection = await this.library.inspect(model, { ...this.session.engineOptions, ...access });
      if (this.choice === choice) this.inspection = inspection;
      else inspection.dispose();
    } catch (thrown) {
      if (this.choice === choice) this.#back(asNibbleError(thrown));
    }
  }

  #back(error: NibbleError | null = null) {
    this.#show({ choice: null, error });
    void this.updateComplete.then(() => this.form?.focus());
  }

  #show(what: { choice: ModelChoice | null; error: NibbleError | null }) {
    this.inspection?.dispose();
    Object.assign(this, { ...what, inspection: null });
  }

  #load = ({ detail: options }: CustomEvent<ChosenOptions>) => {
    const { choice, inspection } = this;
    if (!choice || !inspection) return;
    const { bytes, here } = inspection.cost;
    const { budget: detail } = this;
    this.dialog.close();
    if (detail !== this.session.memoryBudget) this.dispatchEvent(new CustomEvent('budget', { detail }));
    void this.session.change({ ...choice, options }, { bytes, here });
  };

  /** It is downloaded beside what else is done here, and not loaded. */
  #keep = ({ detail: options }: CustomEvent<ChosenOptions>) => {
    const { choice } = this;
    if (!choice) return;
    this.#download({ ...choice, options });
    this.#show({ choice: null, error: null });
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>('nibble-downloads')?.focus());
  };

  #download(choice: ModelChoice) {
    const { keep } = this.library;
    if (keep) this.#downloads.begin(keep, choice, this.session.engineOptions);
  }

  /** What names a place can be kept of it; what was picked from this device is there. */
  #mayKeep({ model }: ModelChoice): boolean {
    const isNamed = typeof model === 'string' || model instanceof URL;
    return isNamed && this.library.keep !== undefined && this.session.engineOptions.storage !== 'none';
  }

  #kept = () => {
    void this.#lookAtKept();
    void this.renderRoot.querySelector<StoredList>('nibble-stored')?.refresh();
  };

  override connectedCallback() {
    super.connectedCallback();
    this.#downloads.addEventListener('kept', this.#kept);
  }

  /** Answers come from there, from now on. */
  #serve = ({ detail: server }: CustomEvent<ServerChoice>) => {
    const { model } = this.library.standard;
    const name = `${server.model} · ${new URL(server.url).host}`;
    this.dialog.close();
    void this.session.change({ model, name, server }, { bytes: null, here: true });
  };

  /** What answers now goes, too, where it is that server. */
  #revoke = ({ detail }: CustomEvent<string>) => {
    if (this.session.choice.server?.url === detail) void this.session.dispose();
  };

  /** It counts when the model is loaded under it, and not before. */
  #limit = (event: CustomEvent<number | null>) => {
    event.stopPropagation();
    this.budget = event.detail;
  };

  #closed = () => {
    this.isOpen = false;
    this.#downloads.tidy();
    this.#back();
  };

  #choose = ({ detail }: CustomEvent<ModelChoice>) => void this.#look(detail);

  #choices() {
    const { standard, hub } = this.library;
    return html`
      ${this.error ? html`<nibble-error .error=${this.error} fatal></nibble-error>` : nothing}
      <nibble-loaded .session=${this.session} @loaded=${() => this.requestUpdate()}></nibble-loaded>
      <nibble-downloads
        .downloads=${this.#downloads}
        @again=${({ detail }: CustomEvent<Download>) => this.#download(detail.choice)}
      ></nibble-downloads>
      <section aria-labelledby="choose">
        <h3 id="choose">${this.say('chooseModel')}</h3>
        <nibble-model-cards
          .standard=${standard}
          .hub=${hub}
          .device=${this.device}
          .kept=${this.kept}
          .loaded=${this.session.info}
          @choose=${this.#choose}
        ></nibble-model-cards>
      </section>
      <section aria-labelledby="find">
        <h3 id="find">${this.say('hubTitle')}</h3>
        <nibble-hub-finder .hub=${hub} @choose=${this.#choose}></nibble-hub-finder>
        <nibble-model-form
          .hub=${hub}
          @choose=${this.#choose}
          @refuse=${(event: CustomEvent<NibbleError>) => this.#back(event.detail)}
        ></nibble-model-form>
      </section>
      <section aria-labelledby="kept">
        <h3 id="kept">${this.say('modelsHere')}</h3>
        <nibble-stored .library=${this.library} .loaded=${this.session.info} @choose=${this.#choose}></nibble-stored>
      </section>
      <section aria-labelledby="adapters">
        <h3 id="adapters">${this.say('adapterTitle')}</h3>
        <nibble-adapters .session=${this.session} .hub=${hub}></nibble-adapters>
      </section>
      <section aria-labelledby="server">
        <h3 id="server">${this.say('serverTitle')}</h3>
        <nibble-server-form @server=${this.#serve} @revoke=${this.#revoke}></nibble-server-form>
      </section>
      <slot name="conversation"></slot>
      <a class="muted" href="LICENSES.txt" target="_blank">${this.say('licences')}</a>
    `;
  }

  #offer(choice: ModelChoice) {
    const { info, choice: current } = this.session;
    return html`<nibble-cost
      class="content"
      .choice=${choice}
      .inspection=${this.inspection}
      .budget=${this.budget}
      replaces=${info ? current.name : ''}
      ?may-keep=${this.#mayKeep(choice)}
      @load=${this.#load}
      @keep=${this.#keep}
      @budget=${this.#limit}
      @back=${() => this.#back()}
    ></nibble-cost>`;
  }

  override render() {
    const { choice } = this;
    return html`<dialog aria-labelledby="title" @close=${this.#closed}>
      ${
        this.isOpen
          ? html`<div class="top">
                <h2 id="title">${this.say('models')}</h2>
                <button aria-label=${this.say('close')} @click=${() => this.dialog.close()}>✕</button>
              </div>
              ${choice ? this.#offer(choice) : nothing}
              <div class="content" ?hidden=${choice !== null}>${this.#choices()}</div>`
          : nothing
      }
    </dialog>`;
  }
}

defineElement('nibble-models', ModelsDialog);
