/** `<nibble-chat>` as a script on its page sees it; see nibble-chat.ts for attributes, events and looks. */
export interface NibbleChatElement extends HTMLElement {
  /** URL, path or Hub id */
  model: string;
  heading: string;
  placeholder: string;
  /** the system prompt; empty: none */
  system: string;
  /** questions to begin with, one a line */
  starters: string;
  /** Opens the chat as a click does. */
  open(): Promise<void>;
}

declare global {
  interface HTMLElementTagNameMap {
    'nibble-chat': NibbleChatElement;
  }
}
