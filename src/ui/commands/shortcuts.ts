import { css, html } from 'lit';
import { defineElement } from '../define-element';
import { theme } from '../theme';
import { commands, isApple, keyCaps } from './commands';
import { dialogLook, FocusDialog } from './focus-dialog';

/** Which keys do what. */
export class Shortcuts extends FocusDialog {
  static override styles = [
    theme,
    dialogLook,
    css`
      dialog {
        width: min(26rem, calc(100vw - 1.5rem));
        max-height: calc(100dvh - 2rem);
        padding: 1.1rem 1.4rem 1.4rem;
        border-radius: calc(var(--_radius) + 4px);
      }
      dialog::backdrop {
        background: rgb(0 0 0 / 0.35);
      }
      .top {
        display: flex;
        align-items: center;
        justify-content: space-between;
        gap: 1rem;
      }
      h2 {
        margin: 0;
        font-size: 1.15rem;
      }
      dl {
        display: grid;
        grid-template-columns: 1fr auto;
        gap: 0.55rem 1.5rem;
        margin: 1rem 0 0;
      }
      dd {
        margin: 0;
        text-align: end;
        direction: ltr;
      }
      kbd {
        font: 0.875em var(--_font);
        border: 1px solid var(--_border);
        border-radius: 6px;
        padding: 0.1em 0.55em;
        background: var(--_surface);
      }
    `,
  ];

  async open(): Promise<void> {
    await this.show();
  }

  override render() {
    if (!this.isOpen) return html`<dialog></dialog>`;
    const withKeys = commands.all.filter(({ keys }) => keys);
    return html`<dialog aria-labelledby="title" @close=${this.closed}>
      <div class="top">
        <h2 id="title">${this.say('shortcuts')}</h2>
        <button @click=${() => this.dialog.close()}>${this.say('close')}</button>
      </div>
      <dl>${withKeys.map(
        ({ name, keys }) => html`<dt>${this.say(name)}</dt>
          <dd>${keyCaps(keys!, this.say, isApple()).map((cap) => html` <kbd>${cap}</kbd>`)}</dd>`,
      )}</dl>
    </dialog>`;
  }
}

defineElement('nibble-shortcuts', Shortcuts);
