/**
 * `<nibble-chat>` as a script on its page sees it. Its properties are attributes of the same names too, and are read
 * when the chat is opened; docs/widget.md has attributes, events and looks.
 */
export interface NibbleChatElement extends HTMLElement {
  /** URL, path or Hub id of the model. Default: ''; without one, opening shows an invalid-option error. */
  model: string;
  /** Words above the button that opens the chat. Default: 'Ask a model that runs in this page'. */
  heading: string;
  /** Words in the empty field for a question. Default: 'Ask something'. */
  placeholder: string;
  /** The system prompt; '' (default): none. */
  system: string;
  /** Questions to begin with, one a line. Default: none. */
  starters: string;
  /**
   * Opens the chat as a click does: shows what there is to download, and loads at once what is already here. Nothing
   * happens where it is open. Failures are shown in the element and told by the event `nibble-error`.
   */
  open(): Promise<void>;
}

declare global {
  interface HTMLElementTagNameMap {
    'nibble-chat': NibbleChatElement;
  }
}
