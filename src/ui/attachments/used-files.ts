import { css, html } from 'lit';
import { property } from 'lit/decorators.js';
import type { Attached } from '../conversation/thread';
import { defineElement } from '../define-element';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import { EN_COMPOSER } from '../words/en-composer';
import { teach } from '../words/words';

teach(EN_COMPOSER);

/** The files that went with a question, and which passages of each were sent, to be read there. */
export class UsedFiles extends SpokenElement {
  @property({ attribute: false }) attached: readonly Attached[] = [];

  static override styles = [
    theme,
    css`
      ul {
        display: grid;
        justify-items: end;
        gap: 0.3rem;
        margin: 0 0 0.4rem;
        padding: 0;
        list-style: none;
        font-size: 0.875rem;
      }
      li {
        max-width: 100%;
        padding: 0.15rem 0.8rem;
        border: 1px solid var(--_border);
        border-radius: calc(var(--_radius) + 4px);
        overflow-wrap: anywhere;
      }
      summary {
        cursor: pointer;
      }
      ol {
        display: grid;
        gap: 0.5rem;
        max-height: 20rem;
        overflow-y: auto;
        margin: 0.4rem 0;
        padding: 0;
        list-style: none;
      }
      ol li {
        padding: 0;
        border: 0;
      }
      blockquote {
        margin: 0;
        padding-inline-start: 0.7rem;
        border-inline-start: 3px solid var(--_border);
        white-space: pre-line;
      }
    `,
  ];

  #summary({ name, used = [] }: Attached): string {
    const pages = [...new Set(used.flatMap(({ page }) => page ?? []))];
    const put = { count: used.length, name };
    if (used.length === 0) return this.say('fileUnused', { name });
    if (pages.length === 0) return this.say('filePassages', put);
    const list = new Intl.ListFormat(this.language, { type: 'conjunction', style: 'narrow' });
    return this.say('filePassagesPages', {
      ...put,
      pages: list.format(pages.map((page) => page.toLocaleString(this.language))),
    });
  }

  #file(file: Attached) {
    if (!file.used) return html`<li><bdi>${file.name}</bdi></li>`;
    if (file.used.length === 0) return html`<li>${this.#summary(file)}</li>`;
    return html`<li>
      <details>
        <summary>${this.#summary(file)}</summary>
        <ol tabindex="0" aria-label=${this.#summary(file)}>
          ${file.used.map(
            ({ text, page }) => html`<li>
              ${page === null ? '' : html`<span class="muted">${this.say('filePage', { page })}</span>`}
              <blockquote dir="auto">${text.trim()}</blockquote>
            </li>`,
          )}
        </ol>
      </details>
    </li>`;
  }

  override render() {
    return html`<ul aria-label=${this.say('sentFiles')}>${this.attached.map((file) => this.#file(file))}</ul>`;
  }
}

defineElement('nibble-used-files', UsedFiles);
