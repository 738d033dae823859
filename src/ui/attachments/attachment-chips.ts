import { css, html, nothing } from 'lit';
import { property } from 'lit/decorators.js';
import { defineElement } from '../define-element';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import type { Attachment } from './attachment';

/**
 * What is attached, as chips: name, pages, tokens, or why it is not taken. Events: `remove` (its id), `unpaste` (its
 * id).
 */
export class AttachmentChips extends SpokenElement {
  @property({ attribute: false }) items: readonly Attachment[] = [];

  static override styles = [
    theme,
    css`
      ul {
        display: flex;
        flex-wrap: wrap;
        gap: 0.4rem;
        max-height: min(11rem, 30dvh);
        overflow-y: auto;
        margin: 0 0 0.4rem;
        padding: 2px;
        list-style: none;
        font-size: 0.875rem;
      }
      li {
        display: flex;
        align-items: center;
        gap: 0.5rem;
        max-width: 100%;
        padding-block: 0.15rem;
        padding-inline: 0.8rem 0.2rem;
        border: 1px solid var(--_border);
        border-radius: calc(var(--_radius) + 4px);
        background: var(--_surface);
      }
      li:not(.refused) {
        white-space: nowrap;
      }
      li.refused {
        color: var(--_danger);
        border-color: currentColor;
        background: none;
      }
      .name {
        max-width: 16rem;
        white-space: nowrap;
        overflow: hidden;
        text-overflow: ellipsis;
      }
      button {
        padding: 0.1em 0.6em;
      }
      button.remove {
        border-color: transparent;
      }
    `,
  ];

  #said({ pages, tokens, attached }: Attachment) {
    if (!attached) return this.say('fileReading');
    const size = tokens ? this.say(tokens.exact ? 'fileTokens' : 'fileAbout', { count: tokens.count }) : '';
    return pages > 1 ? `${this.say('filePages', { count: pages })}, ${size}` : size;
  }

  #tell(type: 'remove' | 'unpaste', { id }: Attachment) {
    this.dispatchEvent(new CustomEvent(type, { detail: id }));
  }

  override render() {
    if (this.items.length === 0) return nothing;
    return html`<ul aria-label=${this.say('attachedFiles')}>
      ${this.items.map(
        (
          item,
        ) => html`<li class=${item.refused ? 'refused' : ''} data-state=${item.refused ? 'refused' : item.attached ? 'ready' : 'reading'}>
          ${
            item.refused
              ? html`<span role="alert">${this.say(item.refused.phrase, item.refused.put)}</span>`
              : html`<bdi class="name" title=${item.name}>${item.name}</bdi><span class="muted">${this.#said(item)}</span>`
          }
          ${
            item.pasted
              ? html`<button type="button" @click=${() => this.#tell('unpaste', item)}>${this.say('undo')}</button>`
              : nothing
          }
          <button
            type="button"
            class="remove"
            aria-label=${this.say('fileRemove', { name: item.name })}
            @click=${() => this.#tell('remove', item)}
          >✕</button>
        </li>`,
      )}
    </ul>`;
  }
}

defineElement('nibble-attachments', AttachmentChips);
