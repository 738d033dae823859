import { css, html, nothing } from 'lit';
import { property, state } from 'lit/decorators.js';
import { modelFromDrop } from '../../engine';
import { asNibbleError } from '../../errors';
import { defineElement } from '../define-element';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';

const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;

/**
 * Takes files and folders that are dropped anywhere on the page, and shows so while they hover. Dropped elsewhere, a
 * file would take the page's place. Events: `attach` (File[]; cancelled: it is taken, and no model), `choose`
 * (ModelChoice), `refuse` (NibbleError).
 */
export class DropTarget extends SpokenElement {
  /** what stands there; empty: that a model may be dropped */
  @property() label = '';
  @state() private over = false;
  #stop = new AbortController();

  static override styles = [
    theme,
    css`
      div {
        position: fixed;
        inset: 0.75rem;
        width: auto;
        height: auto;
        margin: 0;
        display: grid;
        place-content: center;
        justify-items: center;
        font-weight: 600;
        color: inherit;
        border: 2px dashed var(--_accent);
        border-radius: calc(var(--_radius) + 6px);
        background: color-mix(in oklab, var(--_background) 88%, transparent);
        pointer-events: none;
      }
    `,
  ];

  override connectedCallback() {
    super.connectedCallback();
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    addEventListener('dragover', this.#hover, { signal });
    addEventListener('dragleave', this.#leave, { signal });
    addEventListener('drop', this.#drop, { signal });
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.#stop.abort();
  }

  #hover = (event: DragEvent) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    this.over = true;
  };

  /** Also fires between two elements of the page; at its edge there is no next one. */
  #leave = ({ relatedTarget }: DragEvent) => {
    if (relatedTarget === null) this.over = false;
  };

  #drop = async (event: DragEvent) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    this.over = false;
    if (this.#attached(event.dataTransfer!)) return;
    try {
      const model = await modelFromDrop(event.dataTransfer!);
      this.dispatchEvent(new CustomEvent('choose', { detail: { model, name: model.name } }));
    } catch (thrown) {
      this.dispatchEvent(new CustomEvent('refuse', { detail: asNibbleError(thrown) }));
    }
  };

  /** Files of which none is a model's are whoever's takes the event `attach`. @returns whether somebody did */
  #attached({ items, files }: DataTransfer): boolean {
    const folder = [...items].some((item) => item.webkitGetAsEntry?.()?.isDirectory);
    const detail = [...files];
    if (folder || detail.length === 0 || detail.some(({ name }) => /\.(gguf|safetensors)$/i.test(name))) return false;
    return !this.dispatchEvent(new CustomEvent('attach', { detail, cancelable: true }));
  }

  /** A popover, to stand above an open dialog. */
  override updated(changed: Map<string, unknown>) {
    if (changed.has('over')) this.renderRoot.querySelector('div')?.showPopover?.();
  }

  override render() {
    return this.over
      ? html`<div popover="manual">
          <span>${this.label || this.say('dropModel')}</span>
          ${this.label ? nothing : html`<span class="muted">${this.say('dropFiles')}</span>`}
        </div>`
      : nothing;
  }
}

defineElement('nibble-drop', DropTarget);
