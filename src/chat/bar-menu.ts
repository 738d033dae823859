/** What has no room in the bar of a phone, and what only keys reach elsewhere: behind its last button. */
import { css, html, nothing } from 'lit';
import { property } from 'lit/decorators.js';
import { commands } from '../ui/commands/commands';
import { dialogLook, FocusDialog } from '../ui/commands/focus-dialog';
import type { ChatSession } from '../ui/conversation/session';
import { defineElement } from '../ui/define-element';
import { theme } from '../ui/theme';
import type { PhraseName } from '../ui/words/words';
import { modelFacts } from './top-bar';

/** In this order; of these, what can be done now. */
const SHOWN: readonly PhraseName[] = [
  'openModels',
  'unloadModel',
  'searchConversations',
  'temporaryChat',
  'openSettings',
  'themeToggle',
  'openPalette',
];

export class BarMenu extends FocusDialog {
  @property({ attribute: false }) session: ChatSession | null = null;

  static override styles = [
    theme,
    dialogLook,
    css`
      dialog {
        width: min(19rem, calc(100vw - 1.5rem));
        max-height: calc(100dvh - 4.5rem);
        margin-block: 3.5rem auto;
        margin-inline: auto 0.75rem;
        padding: 0.4rem;
        overflow-y: auto;
        border-radius: var(--_radius);
        box-shadow: 0 1rem 3rem light-dark(#1a1f1d33, #000a);
      }
      dialog::backdrop {
        background: light-dark(#0002, #0006);
      }
      p {
        margin: 0;
        padding: 0.5rem 0.75rem;
        overflow-wrap: anywhere;
      }
      .model {
        border-block-end: 1px solid var(--_border);
        margin-block-end: 0.4rem;
      }
      b {
        display: block;
        font-weight: 600;
      }
      button {
        display: block;
        width: 100%;
        min-height: 2.75rem;
        text-align: start;
        padding: 0.5rem 0.75rem;
        border-color: transparent;
        border-radius: calc(var(--_radius) - 4px);
      }
      button:hover,
      button:focus-visible {
        background: var(--_surface);
        border-color: transparent;
      }
    `,
  ];

  async open(): Promise<void> {
    await this.show();
  }

  /** Up and down, as in a menu; Tab goes on from one to the next, too. */
  #key = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = [...this.renderRoot.querySelectorAll('button')];
    const at = all.indexOf(this.shadowRoot?.activeElement as HTMLButtonElement);
    all[(at + step + all.length) % all.length]?.focus();
  };

  #model() {
    const { name, facts } = modelFacts(this.session, this.say, this.language);
    if (!name) return nothing;
    return html`<p class="model"><b>${name}</b><span class="muted">${facts}</span></p>`;
  }

  override render() {
    if (!this.isOpen) return html`<dialog></dialog>`;
    const { now } = commands;
    const found = SHOWN.flatMap((wanted) => now.find(({ name }) => name === wanted) ?? []);
    return html`<dialog
      aria-label=${this.say('more')}
      @close=${this.closed}
      @keydown=${this.#key}
      @click=${this.clicked}
    >
      ${this.#model()}
      ${found.map((one) => html`<button @click=${() => this.closeFor(() => one.run())}>${this.say(one.name)}</button>`)}
      <p class="muted">${this.say('promise')}</p>
    </dialog>`;
  }
}

defineElement('nibble-bar-menu', BarMenu);
