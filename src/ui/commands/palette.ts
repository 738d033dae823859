import { css, html, nothing } from 'lit';
import { query, state } from 'lit/decorators.js';
import { composes } from '../composes';
import { defineElement } from '../define-element';
import { theme } from '../theme';
import { type Command, commands, isApple, keyCaps } from './commands';
import { dialogLook, FocusDialog } from './focus-dialog';
import { fitting } from './fuzzy';

/** All that can be done now, in a list that is narrowed by typing; the keys stand beside, to be learned. */
export class Palette extends FocusDialog {
  @state() private typed = '';
  /** of those that fit */
  @state() private chosen = 0;
  @query('input') private input!: HTMLInputElement;

  static override styles = [
    theme,
    dialogLook,
    css`
      dialog {
        width: min(34rem, calc(100vw - 1.5rem));
        max-height: min(30rem, calc(100dvh - 2rem));
        margin-block-start: min(12vh, 6rem);
        padding: 0;
        overflow: hidden;
        border-radius: calc(var(--_radius) + 4px);
        box-shadow: 0 1rem 3rem light-dark(#1a1f1d33, #000a);
      }
      dialog[open] {
        display: flex;
        flex-direction: column;
      }
      dialog::backdrop {
        background: rgb(0 0 0 / 0.35);
      }
      input {
        flex: none;
        font: inherit;
        color: inherit;
        background: none;
        border: 0;
        border-block-end: 1px solid var(--_border);
        padding: 0.9rem 1.1rem;
        outline: 0;
      }
      input::placeholder {
        color: var(--_muted);
        opacity: 1;
      }
      ul {
        margin: 0;
        padding: 0.4rem;
        overflow-y: auto;
        list-style: none;
      }
      li {
        display: flex;
        align-items: center;
        gap: 1rem;
        padding: 0.5rem 0.75rem;
        border-radius: calc(var(--_radius) - 4px);
        cursor: pointer;
      }
      li > :first-child {
        flex: 1;
      }
      li[aria-selected='true'] {
        background: var(--_surface);
      }
      kbd {
        font: 0.8125em var(--_font);
        color: var(--_muted);
        border: 1px solid var(--_border);
        border-radius: 6px;
        padding: 0.1em 0.5em;
        margin-inline-start: 0.25em;
        background: var(--_background);
      }
      p {
        margin: 0;
        padding: 1rem 1.2rem;
      }
      @media (forced-colors: active) {
        li[aria-selected='true'] {
          outline: 2px solid Highlight;
        }
      }
    `,
  ];

  async open(): Promise<void> {
    if (this.isOpen) return;
    Object.assign(this, { typed: '', chosen: 0 });
    await this.show();
    this.input.focus();
  }

  #found(): Command[] {
    // it is open already
    const others = commands.now.filter(({ name }) => name !== 'openPalette');
    return fitting(this.typed, others, ({ name }) => this.say(name));
  }

  #choose(command: Command | undefined) {
    if (command) this.closeFor(() => command.run());
  }

  #key(event: KeyboardEvent) {
    if (composes(event)) return;
    const found = this.#found();
    const steps: Record<string, number> = {
      ArrowDown: 1,
      ArrowUp: -1,
      Home: -this.chosen,
      End: found.length - 1 - this.chosen,
    };
    if (event.key === 'Enter') this.#choose(found[this.chosen]);
    else if (event.key in steps && found.length > 0)
      this.chosen = (this.chosen + steps[event.key] + found.length) % found.length;
    else return;
    event.preventDefault();
    void this.updateComplete.then(() =>
      this.renderRoot.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' }),
    );
  }

  #option(command: Command, index: number) {
    const caps = command.keys ? keyCaps(command.keys, this.say, isApple()) : [];
    return html`<li
      role="option"
      id="option-${index}"
      aria-selected=${index === this.chosen}
      @pointermove=${() => {
        this.chosen = index;
      }}
      @click=${() => this.#choose(command)}
    ><span>${this.say(command.name)}</span><span dir="ltr">${caps.map((cap) => html`<kbd>${cap}</kbd>`)}</span></li>`;
  }

  override render() {
    if (!this.isOpen) return html`<dialog></dialog>`;
    const found = this.#found();
    return html`<dialog
      aria-label=${this.say('palette')}
      @close=${this.closed}
      @click=${this.clicked}
    >
      <input
        role="combobox"
        aria-label=${this.say('paletteSearch')}
        aria-autocomplete="list"
        aria-expanded=${found.length > 0}
        aria-controls=${found.length > 0 ? 'found' : nothing}
        aria-activedescendant=${found.length > 0 ? `option-${this.chosen}` : nothing}
        autocomplete="off"
        spellcheck="false"
        placeholder=${this.say('paletteSearch')}
        .value=${this.typed}
        @input=${() => Object.assign(this, { typed: this.input.value, chosen: 0 })}
        @keydown=${this.#key}
      />
      ${
        found.length > 0
          ? html`<ul role="listbox" id="found" aria-label=${this.say('palette')}>${found.map((one, index) => this.#option(one, index))}</ul>`
          : html`<p class="muted" role="status">${this.say('paletteNothing')}</p>`
      }
    </dialog>`;
  }
}

defineElement('nibble-palette', Palette);
