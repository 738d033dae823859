import { css, html } from 'lit';
import { property, state } from 'lit/decorators.js';
import { dialogLook, FocusDialog } from '../commands/focus-dialog';
import type { ChatSession } from '../conversation/session';
import { defineElement } from '../define-element';
import { theme } from '../theme';
import type { PhraseName } from '../words/words';
import './appearance-settings';
import './conversation-settings';
import './diagnostics-settings';
import './model-settings';
import type { Keeping } from './storage-facts';
import './storage-settings';

/** The sections, in their order. */
export const SECTIONS = {
  conversation: 'sectionConversation',
  model: 'sectionModel',
  appearance: 'sectionAppearance',
  storage: 'sectionStorage',
  diagnostics: 'sectionDiagnostics',
} as const satisfies Record<string, PhraseName>;

export type Section = keyof typeof SECTIONS;

const NAMES = Object.keys(SECTIONS) as Section[];

/** All that can be set, a section at a time. What is set counts at once; nothing has to be saved. */
export class SettingsDialog extends FocusDialog {
  @property({ attribute: false }) session!: ChatSession;
  @property({ attribute: false }) keeping!: Keeping;
  /** name of the model that the page offers by itself */
  @property() standard = '';
  @property() version = '';
  @state() private section: Section = 'conversation';

  static override styles = [
    theme,
    dialogLook,
    css`
      dialog {
        width: min(52rem, 100vw - 1.5rem);
        height: min(42rem, 100dvh - 1.5rem);
        max-width: none;
        max-height: none;
        padding: 0;
        border-radius: calc(var(--_radius) + 6px);
        overflow: hidden;
      }
      dialog[open] {
        display: flex;
        flex-direction: column;
      }
      dialog::backdrop {
        background: rgb(0 0 0 / 0.45);
      }
      .top {
        display: flex;
        align-items: center;
        justify-content: space-between;
        padding: 0.9rem 1.25rem;
        border-block-end: 1px solid var(--_border);
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
      .body {
        flex: 1;
        min-height: 0;
        display: flex;
      }
      [role='tablist'] {
        flex: none;
        display: flex;
        flex-direction: column;
        gap: 0.15rem;
        width: 12.5rem;
        padding: 0.8rem;
        border-inline-end: 1px solid var(--_border);
        overflow: auto;
      }
      [role='tab'] {
        flex: none;
        text-align: start;
        border-color: transparent;
        border-radius: calc(var(--_radius) - 4px);
        padding: 0.5em 0.8em;
        color: var(--_muted);
      }
      [role='tab'][aria-selected='true'] {
        color: var(--_text);
        background: var(--_surface);
        font-weight: 600;
      }
      [role='tabpanel'] {
        flex: 1;
        min-width: 0;
        overflow-y: auto;
        overscroll-behavior: contain;
        padding: 1.2rem 1.5rem 1.5rem;
      }
      @media (max-width: 42rem) {
        .body {
          flex-direction: column;
        }
        [role='tablist'] {
          flex-direction: row;
          width: auto;
          padding: 0.5rem 0.8rem;
          border-inline-end: 0;
          border-block-end: 1px solid var(--_border);
        }
        [role='tabpanel'] {
          padding-inline: 1.1rem;
        }
      }
      @media (forced-colors: active) {
        [role='tab'][aria-selected='true'] {
          outline: 2px solid Highlight;
          outline-offset: -2px;
        }
      }
    `,
  ];

  async open(section: Section = this.section): Promise<void> {
    this.section = section;
    if (await this.show()) this.#tab(section)?.focus();
  }

  #tab(section: Section) {
    return this.renderRoot.querySelector<HTMLElement>(`#tab-${section}`);
  }

  /** Arrows go from section to section: in a row by the direction of the writing. */
  #key(event: KeyboardEvent) {
    const forward = getComputedStyle(this).direction === 'rtl' ? 'ArrowLeft' : 'ArrowRight';
    const at = NAMES.indexOf(this.section);
    const to: Record<string, number> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      [forward]: at + 1,
      [forward === 'ArrowRight' ? 'ArrowLeft' : 'ArrowRight']: at - 1,
      Home: 0,
      End: NAMES.length - 1,
    };
    if (!(event.key in to)) return;
    event.preventDefault();
    this.section = NAMES[(to[event.key] + NAMES.length) % NAMES.length];
    const tab = this.#tab(this.section);
    tab?.focus();
    tab?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }

  #panel() {
    const { session, keeping, standard, version } = this;
    switch (this.section) {
      case 'conversation':
        return html`<nibble-conversation-settings .session=${session}></nibble-conversation-settings>`;
      case 'model':
        return html`<nibble-model-settings .session=${session}></nibble-model-settings>`;
      case 'appearance':
        return html`<nibble-appearance-settings></nibble-appearance-settings>`;
      case 'storage':
        return html`<nibble-storage-settings .keeping=${keeping}></nibble-storage-settings>`;
      case 'diagnostics':
        return html`<nibble-diagnostics-settings
          .session=${session}
          .standard=${standard}
          .version=${version}
        ></nibble-diagnostics-settings>`;
    }
  }

  override render() {
    if (!this.isOpen) return html`<dialog></dialog>`;
    return html`<dialog
      aria-labelledby="title"
      @close=${this.closed}
      @click=${this.clicked}
    >
      <div class="top">
        <h2 id="title">${this.say('settings')}</h2>
        <button aria-label=${this.say('close')} @click=${() => this.dialog.close()}>✕</button>
      </div>
      <div class="body">
        <div role="tablist" aria-labelledby="title" @keydown=${this.#key}>
          ${NAMES.map(
            (name) => html`<button
              role="tab"
              id="tab-${name}"
              aria-selected=${name === this.section}
              aria-controls="panel"
              tabindex=${name === this.section ? 0 : -1}
              @click=${() => {
                this.section = name;
              }}
            >${this.say(SECTIONS[name])}</button>`,
          )}
        </div>
        <div role="tabpanel" id="panel" aria-labelledby="tab-${this.section}" tabindex="0">${this.#panel()}</div>
      </div>
    </dialog>`;
  }
}

defineElement('nibble-settings', SettingsDialog);
