import { css, html, nothing } from 'lit';
import { property } from 'lit/decorators.js';
import { defineElement } from '../define-element';
import '../conversation/error-notice';
import '../conversation/progress-bar';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import type { Download, Downloads } from './downloads';

/** How far downloads have come, and what stops them. Event: `again` (Download), for one that failed. */
export class DownloadList extends SpokenElement {
  @property({ attribute: false }) downloads!: Downloads;

  static override styles = [
    theme,
    css`
      :host {
        display: grid;
        gap: 0.75rem;
      }
      section {
        display: grid;
        gap: 0.5rem;
        padding: 0.8rem 1rem;
        border: 1px solid var(--_border);
        border-radius: var(--_radius);
      }
      header {
        display: flex;
        align-items: center;
        justify-content: space-between;
        gap: 1rem;
      }
      h3 {
        font-size: 1rem;
        margin: 0;
        overflow-wrap: anywhere;
      }
      p {
        margin: 0;
      }
    `,
  ];

  #changed = () => this.requestUpdate();

  override connectedCallback() {
    super.connectedCallback();
    this.downloads.addEventListener('change', this.#changed);
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.downloads.removeEventListener('change', this.#changed);
  }

  override focus() {
    this.renderRoot.querySelector<HTMLElement>('section:last-of-type button')?.focus();
  }

  #state(download: Download) {
    const { progress, error, done, choice } = download;
    if (done) return html`<p role="status">${this.say('keptOffline', { name: choice.name })}</p>`;
    if (!error) return html`<nibble-progress .progress=${progress}></nibble-progress>`;
    const again = () => this.dispatchEvent(new CustomEvent('again', { detail: download }));
    return html`<nibble-error .error=${error} @retry=${again}></nibble-error>`;
  }

  #download(download: Download) {
    const { name } = download.choice;
    const isOver = download.done || download.error !== null;
    return html`<section aria-label=${name}>
      <header>
        <h3>${name}</h3>
        ${
          isOver
            ? nothing
            : html`<button
                aria-label=${this.say('cancelDownload', { name })}
                @click=${() => this.downloads.cancel(download)}
              >
                ${this.say('cancel')}
              </button>`
        }
      </header>
      ${this.#state(download)}
    </section>`;
  }

  override render() {
    return this.downloads.all.map((download) => this.#download(download));
  }
}

defineElement('nibble-downloads', DownloadList);
