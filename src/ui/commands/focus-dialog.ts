import { css } from 'lit';
import { query, state } from 'lit/decorators.js';
import { SpokenElement } from '../spoken-element';
import { keepFocus } from './focus';

/** How every dialog begins. */
export const dialogLook = css`
  dialog {
    color: inherit;
    background: var(--_background);
    border: 1px solid var(--_border);
  }
`;

/** An element with one modal dialog, rendered with content while it is open, which gives the focus back at its end. */
export class FocusDialog extends SpokenElement {
  @state() protected isOpen = false;
  @query('dialog') protected dialog!: HTMLDialogElement;
  #giveBack = () => {};
  #then: (() => void) | null = null;

  /** @returns false: it was open already */
  protected async show(): Promise<boolean> {
    if (this.isOpen) return false;
    this.#giveBack = keepFocus();
    this.isOpen = true;
    await this.updateComplete;
    this.dialog.showModal();
    return true;
  }

  /** Closes it, and then does that: with the focus where it was before. */
  protected closeFor(then: () => void): void {
    this.#then = then;
    this.dialog.close();
  }

  /** for `close` */
  protected closed = () => {
    this.isOpen = false;
    this.#giveBack();
    const then = this.#then;
    this.#then = null;
    then?.();
  };

  /** for `click`: beside the dialog it closes it */
  protected clicked = ({ target }: Event) => target === this.dialog && this.dialog.close();
}
