/** Where a message is edited, in its own place: Enter saves a question, Ctrl+Enter any, Escape leaves it as it was. */
import { css, html } from 'lit';
import { property, query } from 'lit/decorators.js';
import { composes } from '../composes';
import { defineElement } from '../define-element';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';

/** Events: `saved` (text), `cancel`. */
export class MessageEdit extends SpokenElement {
  @property() text = '';
  /** it is answered when it is saved */
  @property({ type: Boolean }) question = false;
  @query('textarea') private area!: HTMLTextAreaElement;

  static override styles = [
    theme,
    css`
      :host {
        display: grid;
        gap: 0.5rem;
      }
      textarea {
        width: 100%;
        box-sizing: border-box;
        font: inherit;
        color: inherit;
        background: var(--_background);
        border: 1px solid var(--_accent);
        border-radius: var(--_radius);
        padding: 0.6rem 1rem;
        min-height: 3.2rem;
        max-height: 60vh;
        resize: vertical;
        field-sizing: content;
      }
      .buttons {
        display: flex;
        justify-content: end;
        gap: 0.5rem;
      }
    `,
  ];

  protected override firstUpdated() {
    this.area.focus();
    this.area.setSelectionRange(this.text.length, this.text.length);
  }

  #save = () => {
    if (this.area.value.trim() === '') return;
    this.dispatchEvent(new CustomEvent('saved', { detail: this.area.value }));
  };

  #cancel = () => this.dispatchEvent(new Event('cancel'));

  #key = (event: KeyboardEvent) => {
    if (composes(event)) return;
    const { key, shiftKey, ctrlKey, metaKey } = event;
    const saves = key === 'Enter' && (ctrlKey || metaKey || (this.question && !shiftKey));
    if (saves) this.#save();
    else if (key === 'Escape') this.#cancel();
    else return event.stopPropagation();
    event.preventDefault();
    event.stopPropagation();
  };

  override render() {
    return html`<textarea
        dir="auto"
        aria-label=${this.say('editedText')}
        .value=${this.text}
        @keydown=${this.#key}
      ></textarea>
      <div class="buttons">
        <button type="button" @click=${this.#cancel}>${this.say('cancel')}</button>
        <button type="button" class="primary" @click=${this.#save}>
          ${this.say(this.question ? 'saveAndAsk' : 'saveEdit')}
        </button>
      </div>`;
  }
}

defineElement('nibble-message-edit', MessageEdit);
