/** For the page that holds nibble-frame.html in an iframe: the chat in it, with the element's methods and events. */
import type { ChatMessage } from '../../protocol';
import type { NibbleChatEvents } from '../element';
import { type Calls, EVENTS, type Failure, isOurs, VERSION } from './messages';

/** Why a call failed, as the element would have told it. */
const errorOf = ({ code, message, details }: Failure): Error => Object.assign(new Error(message), { code, details });

/** The chat in a frame. Its events are the element's: `chat.addEventListener('nibble-token', …)`. */
export class FramedChat extends EventTarget {
  readonly #frame: HTMLIFrameElement;
  readonly #origin: string;
  readonly #attributes: Readonly<Record<string, string>>;
  #last = 0;
  readonly #open = new Map<number, { done(value: unknown): void; failed(error: Error): void }>();
  #connected!: () => void;
  readonly #connection = new Promise<void>((resolve) => {
    this.#connected = resolve;
  });

  /** @param attributes of the chat, by name: `model`, `heading`, `starters` … */
  constructor(frame: HTMLIFrameElement, attributes: Readonly<Record<string, string>>) {
    super();
    this.#frame = frame;
    this.#origin = new URL(frame.src, document.baseURI).origin;
    this.#attributes = attributes;
    addEventListener('message', this.#hear);
    // a frame that has said hello before this was here
    if (document.readyState === 'complete') this.#connect();
  }

  open = (): Promise<void> => this.#call('open', null) as Promise<void>;
  close = (): Promise<void> => this.#call('close', null) as Promise<void>;
  /** @returns the answer */
  ask = (text: string): Promise<ChatMessage> => this.#call('ask', text) as Promise<ChatMessage>;
  stop = (): Promise<void> => this.#call('stop', null) as Promise<void>;
  clear = (): Promise<void> => this.#call('clear', null) as Promise<void>;
  focus = (): Promise<void> => this.#call('focus', null) as Promise<void>;
  /** What was said. */
  messages = (): Promise<ChatMessage[]> => this.#call('messages', null) as Promise<ChatMessage[]>;
  /** Shows another conversation. */
  setMessages = (messages: readonly ChatMessage[]): Promise<void> =>
    this.#call('setMessages', messages) as Promise<void>;

  /** Listens no more. */
  disconnect(): void {
    removeEventListener('message', this.#hear);
  }

  async #call<Name extends keyof Calls>(call: Name, given: Calls[Name]): Promise<unknown> {
    await this.#connection;
    return this.#post(call, given);
  }

  #post<Name extends keyof Calls>(call: Name, given: Calls[Name]): Promise<unknown> {
    const id = ++this.#last;
    const answered = new Promise((done, failed) => this.#open.set(id, { done, failed }));
    this.#frame.contentWindow?.postMessage({ nibble: VERSION, id, call, with: given }, this.#origin);
    return answered;
  }

  #connect(): void {
    void this.#post('connect', this.#attributes).then(this.#connected);
  }

  #hear = ({ source, origin, data }: MessageEvent<unknown>) => {
    if (source !== this.#frame.contentWindow || origin !== this.#origin || !isOurs(data)) return;
    const { hello, id, done, failed, event, detail } = data;
    if (hello) return this.#connect();
    if (typeof event === 'string' && (EVENTS as readonly string[]).includes(event)) {
      const told = event === 'nibble-error' ? errorOf(detail as Failure) : detail;
      this.dispatchEvent(new CustomEvent(event as keyof NibbleChatEvents, { detail: told }));
    }
    const open = this.#open.get(id as number);
    this.#open.delete(id as number);
    if (failed) open?.failed(errorOf(failed as Failure));
    else open?.done(done);
  };
}

/**
 * The chat in an iframe whose `src` is nibble-frame.html, on this origin or another one that allows it.
 * @param attributes of the chat, by name
 */
export const connectFrame = (frame: HTMLIFrameElement, attributes: Readonly<Record<string, string>> = {}): FramedChat =>
  new FramedChat(frame, attributes);
