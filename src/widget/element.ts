/**
 * `<nibble-chat>` as a script on its page sees it. Properties that are texts are attributes of the same names, too;
 * docs/widget.md has attributes, events, parts and looks.
 */
import type { Engine, Tool } from '../engine';
import type { NibbleError } from '../errors';
import type { ChatMessage, ModelInfo, Progress } from '../protocol';

/** A piece of an answer, as it comes. */
export interface NibbleToken {
  /** What has been added. */
  text: string;
  /** 'reasoning': it was thought before the answer. 'text': it is of the answer itself. */
  type: 'reasoning' | 'text';
}

/** A question that is about to be sent, as `beforeSend` is told of it. */
export interface NibbleQuestion {
  /** What the visitor has written, or ask() was given. */
  text: string;
  /** What was said before. */
  messages: readonly ChatMessage[];
}

/**
 * What becomes of a question: undefined or {} sends it as it is; `refuse` does not send it, and shows this sentence;
 * `context` goes before it to the model, and is not shown.
 */
export interface NibbleVerdict {
  /** Why the question is not sent, as a sentence for the visitor. */
  refuse?: string;
  /** What the model is told together with the question. */
  context?: string;
}

/** The events of `<nibble-chat>`. All of them bubble, also out of shadow trees. */
export interface NibbleChatEvents {
  /** The chat was opened, or shown again. */
  'nibble-open': CustomEvent<null>;
  /** The chat was minimised; what was said stays. */
  'nibble-close': CustomEvent<null>;
  /** The model is loaded. */
  'nibble-ready': CustomEvent<ModelInfo>;
  /** How far the model has been loaded. */
  'nibble-progress': CustomEvent<Progress>;
  /** A piece of an answer. */
  'nibble-token': CustomEvent<NibbleToken>;
  /** A question was asked, or an answer has ended. */
  'nibble-message': CustomEvent<ChatMessage>;
  /** Something failed; it is shown, too. */
  'nibble-error': CustomEvent<NibbleError>;
}

/** What a script sets and calls on `<nibble-chat>`. Attributes are read when the chat is opened. */
export interface NibbleChatElement extends HTMLElement {
  /** URL, path or Hub id of the model. Default: ''; without one, opening shows an invalid-option error. */
  model: string;
  /**
   * '' (default): a box in the page. 'bottom-right', 'bottom-left', 'top-right' or 'top-left': a button in that corner,
   * which opens a panel, or on a phone the whole screen.
   */
  launcher: string;
  /** Title of the chat. Default: '', which says 'Ask a model that runs in this page'. */
  heading: string;
  /** Words in the empty field for a question. Default: '', which says 'Ask something'. */
  placeholder: string;
  /** What the chat says first, as if the model did; the model is not told. Default: '', nothing. */
  greeting: string;
  /** The system prompt; '' (default): none. */
  system: string;
  /** Questions to begin with, one a line. Default: none. */
  starters: string;
  /**
   * Name under which the conversation is kept in this browser, for all pages of the site; up to 64 letters, digits, _,
   * - and dots. Default: '', it is not kept.
   */
  keep: string;
  /** 'light' or 'dark', whatever the page is. Default: '', as the page. */
  colorScheme: string;
  /**
   * What was said, without the system prompt. Setting it shows another conversation; an answer under way is stopped.
   * @throws NibbleError invalid-option where it is no list of { role: 'user' | 'assistant', content }
   */
  messages: readonly ChatMessage[];
  /**
   * The engine that answers; null: none is loaded yet. One that is set is used in the place of `model`: nothing is
   * downloaded, and it is not disposed of here. Setting null goes back to `model`.
   */
  engine: Engine | null;
  /**
   * Functions of the page that the model may call; while one runs, that is shown. Default: [].
   * @throws NibbleError invalid-option where it is no list
   */
  tools: readonly Tool[];
  /** Asked before a question is sent, to refuse it or to add context. Default: null. What it throws is shown. */
  beforeSend: ((question: NibbleQuestion) => NibbleVerdict | undefined | Promise<NibbleVerdict | undefined>) | null;
  /** Told each answer that has ended. Default: null. */
  afterAnswer: ((answer: ChatMessage, messages: readonly ChatMessage[]) => void) | null;
  /**
   * Other words for what the chat says, by the names of its phrases (docs/widget.md); plurals have a form for each
   * category. Default: {}. A name that it does not know is named in the console.
   */
  strings: Readonly<Record<string, string | (Partial<Record<Intl.LDMLPluralRule, string>> & { other: string })>>;
  /**
   * Opens the chat as a click does: shows what there is to download, and loads at once what is already here. Nothing
   * happens where it is open. Failures are shown in the element and told by the event `nibble-error`.
   */
  open(): Promise<void>;
  /** Minimises the chat; an answer under way goes on. */
  close(): void;
  /**
   * Opens the chat and asks; where the model is not here, as soon as the visitor has loaded it.
   * @returns the answer
   * @throws NibbleError invalid-option for an empty question and for one that `beforeSend` refuses, aborted where it
   * was stopped before an answer began, and what loading and answering throw
   */
  ask(text: string): Promise<ChatMessage>;
  /** Stops the download or the answer under way, and what ask() waits with. What was said stays. */
  stop(): void;
  /** Begins a new conversation, as New chat does. */
  clear(): void;
}

declare global {
  interface HTMLElementTagNameMap {
    'nibble-chat': NibbleChatElement;
  }
  interface GlobalEventHandlersEventMap extends NibbleChatEvents {}
}
