import { css, html, nothing } from 'lit';
import { property, query, state } from 'lit/decorators.js';
import { defineElement } from '../define-element';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import { EN_COMPOSER } from '../words/en-composer';
import { teach } from '../words/words';
import {
  deletePrompt,
  type PromptFault,
  promptName,
  type SavedPrompt,
  savedPrompts,
  savePrompt,
} from './saved-prompts';

teach(EN_COMPOSER);

/**
 * The prompts that a person saved, in a dialog: to save what stands in the field, to change, rename and delete them.
 * Events: `choose` (SavedPrompt), `close`.
 */
export class PromptsPanel extends SpokenElement {
  @property({ attribute: false }) prompts: readonly SavedPrompt[] = [];
  /** the name of the prompt that is being changed */
  @state() private changing: string | null = null;
  @state() private fault: PromptFault | null = null;
  @state() private undo: { name: string; restore: () => void } | null = null;
  @query('dialog') private dialog!: HTMLDialogElement;
  @query('input') private nameField!: HTMLInputElement;
  @query('textarea') private textField!: HTMLTextAreaElement;

  static override styles = [
    theme,
    css`
      dialog {
        width: min(36rem, calc(100vw - 2rem));
        max-height: min(40rem, calc(100dvh - 2rem));
        padding: 1.25rem;
        color: var(--_text);
        background: var(--_background);
        border: 1px solid var(--_border);
        border-radius: calc(var(--_radius) + 4px);
      }
      dialog::backdrop {
        background: #0006;
      }
      header,
      .actions,
      li {
        display: flex;
        align-items: center;
        gap: 0.5rem;
      }
      header {
        justify-content: space-between;
      }
      h2 {
        margin: 0;
        font-size: 1.15rem;
      }
      form {
        display: grid;
        gap: 0.6rem;
        margin-block: 1rem;
      }
      label {
        display: grid;
        gap: 0.2rem;
      }
      input,
      textarea {
        font: inherit;
        color: inherit;
        background: var(--_surface);
        border: 1px solid var(--_border);
        border-radius: calc(var(--_radius) - 4px);
        padding: 0.4rem 0.7rem;
        width: 100%;
        resize: vertical;
      }
      ul {
        margin: 0;
        padding: 0;
        list-style: none;
      }
      li {
        padding-block: 0.4rem;
        border-top: 1px solid var(--_border);
      }
      .prompt {
        flex: 1;
        min-width: 0;
      }
      .prompt > * {
        display: block;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .fault {
        color: var(--_danger);
        margin: 0;
      }
      p {
        margin: 0;
      }
    `,
  ];

  /** @param text what stands in the field: it is offered to be saved */
  async open(text: string): Promise<void> {
    this.prompts = savedPrompts();
    this.changing = this.fault = this.undo = null;
    await this.updateComplete;
    this.nameField.value = '';
    this.textField.value = text.trim();
    this.dialog.showModal();
  }

  #change({ name, text }: SavedPrompt) {
    this.changing = name;
    this.fault = null;
    this.nameField.value = name;
    this.textField.value = text;
    this.nameField.focus();
  }

  #save(event: Event) {
    event.preventDefault();
    this.undo = null;
    this.fault = savePrompt(this.nameField.value, this.textField.value, this.changing ?? undefined);
    this.prompts = savedPrompts();
    if (this.fault !== null) return;
    this.changing = null;
    this.nameField.value = this.textField.value = '';
    this.nameField.focus();
  }

  #delete({ name }: SavedPrompt) {
    this.undo = { name, restore: deletePrompt(name) };
    if (this.changing === name) this.changing = null;
    this.prompts = savedPrompts();
    this.#keepFocus('button[data-undo]');
  }

  #restore = () => {
    this.undo?.restore();
    this.undo = null;
    this.prompts = savedPrompts();
    this.#keepFocus('input');
  };

  /** The button that had it is gone. */
  #keepFocus(selector: string) {
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>(selector)?.focus());
  }

  #choose(prompt: SavedPrompt) {
    this.dialog.close();
    this.dispatchEvent(new CustomEvent('choose', { detail: prompt }));
  }

  override render() {
    const about = (name: string, prompt: SavedPrompt) => `${name} /${prompt.name}`;
    return html`<dialog aria-labelledby="title" @close=${() => this.dispatchEvent(new Event('close'))}>
      <header>
        <h2 id="title">${this.say('savedPrompts')}</h2>
        <button @click=${() => this.dialog.close()}>${this.say('close')}</button>
      </header>
      <form @submit=${this.#save}>
        <label>${this.say('promptName')}<input autocomplete="off" maxlength="60" placeholder="summary" /></label>
        <label>${this.say('promptText')}<textarea dir="auto" rows="3"></textarea></label>
        ${this.fault ? html`<p class="fault" role="alert">${this.say(this.fault)}</p>` : nothing}
        <div class="actions">
          <button class="primary">${
            this.changing === null ? this.say('savePrompt') : this.say('changePrompt', { name: this.changing })
          }</button>
          <span class="muted">${this.say('promptUse')}</span>
        </div>
      </form>
      ${
        this.undo
          ? html`<p role="status">${this.say('promptDeleted', { name: this.undo.name })}
              <button data-undo @click=${this.#restore}>${this.say('undo')}</button></p>`
          : nothing
      }
      <ul aria-label=${this.say('savedPrompts')}>
        ${this.prompts.map(
          (prompt) => html`<li>
            <span class="prompt"><b>/${promptName(prompt.name)}</b><span class="muted">${prompt.text}</span></span>
            <button aria-label=${about(this.say('promptInsert'), prompt)} @click=${() => this.#choose(prompt)}>${this.say('promptInsert')}</button>
            <button aria-label=${about(this.say('promptEdit'), prompt)} @click=${() => this.#change(prompt)}>${this.say('promptEdit')}</button>
            <button aria-label=${about(this.say('promptDelete'), prompt)} @click=${() => this.#delete(prompt)}>${this.say('promptDelete')}</button>
          </li>`,
        )}
      </ul>
    </dialog>`;
  }
}

defineElement('nibble-prompts', PromptsPanel);
