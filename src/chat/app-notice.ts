import { css, html, nothing } from 'lit';
import { property, state } from 'lit/decorators.js';
import type { Installer } from '../pwa/install';
import { defineElement } from '../ui/define-element';
import { recall, remember } from '../ui/remember';
import { SpokenElement } from '../ui/spoken-element';
import { theme } from '../ui/theme';
import { EN_APP } from '../ui/words/en-app';
import { teach } from '../ui/words/words';

teach(EN_APP);

/** What became of the line, in remember(): 'said', which nobody had to answer, or 'closed'. */
const SEEN = 'nibble-app-notice';

/**
 * One line about this page as an app: that all of it is on this device now, which is said at one visit; how it is
 * installed, and what Safari deletes otherwise, until the person has put it away. It is hidden while it says nothing.
 */
export class AppNotice extends SpokenElement {
  /** null: the page has not answered yet, and nothing is said of it */
  @property({ attribute: false }) installer: Installer | null = null;
  /** the page's files and the loaded model are kept on this device */
  @property({ type: Boolean }) offline = false;
  /** what was shared with the page could not be kept for it */
  @property({ type: Boolean }) lost = false;
  @state() private earlier = recall(SEEN);

  static override styles = [
    theme,
    css`
      :host {
        display: block;
      }
      .notice {
        display: flex;
        align-items: center;
        gap: 0.5rem;
        padding-block: 0.5rem;
        padding-inline: 1rem 0.5rem;
        border-radius: var(--_radius);
        background: var(--_surface);
        font-size: 0.9375em;
        line-height: 1.45;
      }
      span {
        flex: 1;
        padding-block: 0.2rem;
        text-wrap: pretty;
      }
      button {
        flex: none;
      }
      .close {
        display: grid;
        place-items: center;
        width: 2.25rem;
        height: 2.25rem;
        padding: 0;
        border-color: transparent;
        color: var(--_muted);
      }
    `,
  ];

  #changed = () => this.requestUpdate();

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has('installer')) this.installer?.addEventListener('change', this.#changed);
    this.hidden = this.#sentences().length === 0;
  }

  override updated() {
    if (!this.hidden && !this.lost && this.installer && !this.#asks) remember(SEEN, 'said');
  }

  /** There is something that the person may do about it. */
  get #asks(): boolean {
    return /^(prompt|menu)$/.test(this.installer?.how ?? '');
  }

  #close = () => {
    if (this.lost) this.lost = false;
    else {
      this.earlier = 'closed';
      remember(SEEN, this.earlier);
    }
  };

  /** What there is to say. */
  #sentences(): string[] {
    if (this.lost) return [this.say('sharedLost')];
    const { installer, earlier, offline } = this;
    if (!installer || earlier === 'closed' || (earlier === 'said' && !this.#asks)) return [];
    const here = offline ? [this.say('offlineReady')] : [];
    if (installer.how === 'menu') return [...here, this.say('safariDeletes'), this.say('installByMenu')];
    return installer.how === 'prompt' && !offline ? [this.say('installHint')] : here;
  }

  override render() {
    const sentences = this.#sentences();
    if (sentences.length === 0) return nothing;
    const { installer } = this;
    return html`<div class="notice" role="status">
      <span>${sentences.join(' ')}</span>
      ${
        installer?.how === 'prompt' && !this.lost
          ? html`<button class="primary" @click=${() => void installer.install()}>${this.say('install')}</button>`
          : nothing
      }
      <button class="close" aria-label=${this.say('close')} @click=${this.#close}>✕</button>
    </div>`;
  }
}

defineElement('nibble-app-notice', AppNotice);
