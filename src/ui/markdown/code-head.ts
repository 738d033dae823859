/** The head of a code block: its language, and a button that copies all of it. */
import { css, html } from 'lit';
import { property } from 'lit/decorators.js';
import { copyText } from '../copy-text';
import { defineElement } from '../define-element';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';

/** How long the button says what happened, ms. */
const SAYS = 2000;

/** Characters of a language's name. */
const LONGEST = 24;

/** All lines of the code below a head, which may be in several boxes. */
function codeBelow(head: Element): string {
  const boxes = [...(head.getRootNode() as ParentNode).querySelectorAll('.code')];
  const first = boxes.indexOf(head.parentElement!);
  const after = boxes.slice(first + 1);
  const next = after.findIndex((box) => !box.classList.contains('more'));
  const own = [boxes[first], ...after.slice(0, next < 0 ? after.length : next)];
  return own.map((box) => box.querySelector('pre')?.textContent ?? '').join('\n');
}

export class CodeHead extends SpokenElement {
  /** as the code's first line names it */
  @property({ attribute: false }) named = '';

  static override styles = [
    theme,
    css`
      :host {
        font-size: 0.8125em;
        color: var(--_muted);
        user-select: none;
      }
      button {
        border: none;
        padding: 0.25rem 0.6rem;
      }
      button:hover {
        color: var(--_accent);
      }
    `,
  ];

  #result: 'codeCopied' | 'codeNotCopied' | null = null;
  #timer = 0;

  async #copy() {
    this.#result = (await copyText(codeBelow(this))) ? 'codeCopied' : 'codeNotCopied';
    this.requestUpdate();
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => {
      this.#result = null;
      this.requestUpdate();
    }, SAYS);
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    clearTimeout(this.#timer);
  }

  override render() {
    const said = this.#result ? this.say(this.#result) : '';
    return html`
      <span class="language" dir="auto">${this.named.slice(0, LONGEST) || this.say('code')}</span>
      <button part="copy" aria-label=${said || this.say('copyCode')} @click=${this.#copy}>${said || this.say('copy')}</button>
      <span class="unseen" role="status">${said}</span>
    `;
  }
}

defineElement('nibble-code-head', CodeHead);
