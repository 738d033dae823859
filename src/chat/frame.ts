import { css, html, nothing } from 'lit';
import { property, query, state } from 'lit/decorators.js';
import { defineElement } from '../ui/define-element';
import { recall, remember } from '../ui/remember';
import { SpokenElement } from '../ui/spoken-element';
import { theme } from '../ui/theme';
import { iconButton } from './icon-button';

/** Below this width the column is a drawer over the page. */
const NARROW = '(max-width: 719px)';
/** localStorage has it where the person closed the column. */
const CLOSED = 'nibble-column-closed';

/**
 * The page's three places: slot `column` beside, slot `bar` above, the default slot below that. The column can be put
 * away, which is remembered; on a phone it is a drawer. Slot `short` stands in the bar while the column is not beside
 * it. Event `column` (boolean): whether the column is on show now.
 */
export class PageFrame extends SpokenElement {
  @state() private narrow = matchMedia(NARROW).matches;
  /** beside the page; a drawer opens for a moment only */
  @state() private beside = recall(CLOSED) === null;
  @state() private drawer = false;
  /** what the column is called */
  @property() label = '';
  @query('dialog') private dialog!: HTMLDialogElement | null;

  static override styles = [
    theme,
    iconButton,
    css`
      :host {
        display: flex;
        height: 100dvh;
        overflow: hidden;
      }
      nav {
        flex: none;
        width: 260px;
        border-inline-end: 1px solid var(--_border);
        background: var(--_surface);
        padding-inline-start: env(safe-area-inset-left);
      }
      dialog {
        color: inherit;
        background: var(--_surface);
        border: none;
        margin: 0;
        padding: 0;
        inset-block: 0;
        inset-inline: 0 auto;
        width: min(19rem, 86vw);
        max-width: none;
        height: 100dvh;
        max-height: none;
        box-shadow: 0 0 3rem light-dark(#0003, #000a);
        transition:
          translate 0.2s ease-out,
          overlay 0.2s allow-discrete,
          display 0.2s allow-discrete;
        translate: -100% 0;
      }
      dialog:dir(rtl) {
        translate: 100% 0;
      }
      dialog[open] {
        display: flex;
        flex-direction: column;
        translate: none;
      }
      @starting-style {
        dialog[open] {
          translate: -100% 0;
        }
        dialog[open]:dir(rtl) {
          translate: 100% 0;
        }
      }
      dialog::backdrop {
        background: light-dark(#0004, #0008);
      }
      .page {
        flex: 1;
        min-width: 0;
        display: flex;
        flex-direction: column;
      }
      header {
        display: flex;
        align-items: center;
        gap: 0.6rem;
        min-height: 3.5rem;
        padding-inline: max(0.75rem, env(safe-area-inset-left)) max(1rem, env(safe-area-inset-right));
      }
      ::slotted([slot='bar']) {
        flex: 1;
        min-width: 0;
      }
      ::slotted([slot='column']) {
        height: 100%;
      }
      .icon svg {
        width: 1.25rem;
        height: 1.25rem;
        fill: none;
        stroke: currentColor;
        stroke-width: 1.75;
        stroke-linecap: round;
      }
      .icon:dir(rtl) svg {
        scale: -1 1;
      }
      .close {
        margin: 0.5rem 0.5rem 0;
        align-self: end;
      }
    `,
  ];

  #media = matchMedia(NARROW);
  #resized = () => {
    this.narrow = this.#media.matches;
    this.drawer = false;
  };

  override connectedCallback() {
    super.connectedCallback();
    this.#media.addEventListener('change', this.#resized);
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.#media.removeEventListener('change', this.#resized);
  }

  /** Whether the column is on show. */
  get open(): boolean {
    return this.narrow ? this.drawer : this.beside;
  }

  /** Shows the column, or puts it away. */
  set open(open: boolean) {
    if (this.narrow) {
      this.drawer = open;
      return;
    }
    this.beside = open;
    remember(CLOSED, open ? null : '');
  }

  /** The drawer has done what it was opened for. */
  closeDrawer(): void {
    this.drawer = false;
  }

  override updated() {
    const { dialog, drawer } = this;
    if (dialog && dialog.open !== drawer) {
      if (drawer) dialog.showModal();
      else dialog.close();
    }
    this.dispatchEvent(new CustomEvent('column', { detail: this.open }));
  }

  /** A press beside the drawer puts it away. */
  #beside = (event: MouseEvent) => {
    const { left, right } = this.dialog!.getBoundingClientRect();
    if (event.target === this.dialog && (event.clientX < left || event.clientX > right)) this.drawer = false;
  };

  #column() {
    const slot = html`<slot name="column"></slot>`;
    if (!this.narrow) return this.beside ? html`<nav id="column" aria-label=${this.label}>${slot}</nav>` : nothing;
    return html`<dialog
      id="column"
      aria-label=${this.label}
      @close=${() => {
        this.drawer = false;
      }}
      @click=${this.#beside}
    >
      <button class="icon close" aria-label=${this.say('hideConversations')} @click=${() => this.closeDrawer()}>
        <svg viewBox="0 0 24 24" aria-hidden="true"><path d="m6 6 12 12M18 6 6 18" /></svg>
      </button>
      ${slot}
    </dialog>`;
  }

  override render() {
    const { open } = this;
    return html`${this.#column()}
      <div class="page">
        <header>
          <button
            class="icon"
            aria-label=${this.say(open ? 'hideConversations' : 'showConversations')}
            aria-expanded=${open}
            aria-controls=${open ? 'column' : nothing}
            @click=${() => {
              this.open = !open;
            }}
          >
            <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 5h16v14H4zM9.5 5v14" stroke-linejoin="round" /></svg>
          </button>
          ${open && !this.narrow ? nothing : html`<slot name="short"></slot>`}
          <slot name="bar"></slot>
        </header>
        <slot></slot>
      </div>`;
  }
}

defineElement('nibble-frame', PageFrame);
