/**
 * In nibble-frame.html: lets the page that holds the frame use the chat in it. Only pages of the frame's own origin,
 * and of those that its `<meta name="nibble-parents">` lists, are listened to, and only they are told anything.
 */
import type { NibbleError } from '../../errors';
import type { ChatMessage } from '../../protocol';
import type { NibbleChatElement } from '../element';
import { type Calls, EVENTS, type Failure, isOurs, type Reply, VERSION } from './messages';

/** Attributes that a page may set: none that runs code. */
const ATTRIBUTE = /^(?!on|style$|srcdoc$)[a-z][a-z-]{0,40}$/;

const meta = document.querySelector<HTMLMetaElement>('meta[name=nibble-parents]');
const allowed = new Set([location.origin, ...(meta?.content.split(/\s+/).filter(Boolean) ?? [])]);

const sheet = new CSSStyleSheet();
sheet.replaceSync(`
  html { color-scheme: light dark; }
  body { margin: 0; }
  nibble-chat { height: 100dvh; min-height: 0; }
  nibble-chat::part(panel) { border: 0; border-radius: 0; }
`);
document.adoptedStyleSheets = [sheet];

/** As plain data: a class does not pass between pages. */
const plain = ({ code, message, details }: NibbleError): Failure => ({ code, message, details });
const failure = (thrown: unknown): Failure =>
  thrown instanceof Error && 'code' in thrown
    ? plain(thrown as NibbleError)
    : { code: 'invalid-option', message: String(thrown), details: {} };

/** What each call does. What it is given is anything. */
function callsOf(chat: NibbleChatElement): { [Name in keyof Calls]: (given: unknown) => unknown } {
  return {
    connect(attributes) {
      for (const [name, value] of Object.entries(attributes ?? {})) {
        // a launcher is of the page, and the frame is its panel
        if (!ATTRIBUTE.test(name) || name === 'launcher' || typeof value !== 'string') continue;
        if (chat.getAttribute(name) !== value) chat.setAttribute(name, value);
      }
    },
    open: () => chat.open(),
    close: () => chat.close(),
    ask: (text) => chat.ask(text as string),
    stop: () => chat.stop(),
    clear: () => chat.clear(),
    focus: () => chat.focus(),
    messages: () => chat.messages,
    setMessages(messages) {
      chat.messages = messages as ChatMessage[];
    },
  };
}

async function serve(): Promise<void> {
  await customElements.whenDefined('nibble-chat');
  const chat = document.querySelector('nibble-chat');
  if (!chat || parent === window) return;
  const calls = callsOf(chat);
  /** of the page, once it has connected */
  let page = '';
  const post = (reply: Reply, to: string) => parent.postMessage(reply, to);

  addEventListener('message', async ({ source, origin, data }) => {
    if (source !== parent || !allowed.has(origin) || !isOurs(data)) return;
    const { id, call, with: given } = data;
    if (typeof id !== 'number' || typeof call !== 'string' || !Object.hasOwn(calls, call)) return;
    if (call === 'connect') page = origin;
    if (page !== origin) return;
    try {
      const done = (await calls[call as keyof Calls](given)) ?? null;
      post({ nibble: VERSION, id, done }, origin);
    } catch (thrown) {
      post({ nibble: VERSION, id, failed: failure(thrown) }, origin);
    }
  });
  for (const type of EVENTS) {
    chat.addEventListener(type, ({ detail }: CustomEvent) => {
      if (page) post({ nibble: VERSION, event: type, detail: type === 'nibble-error' ? plain(detail) : detail }, page);
    });
  }
  post({ nibble: VERSION, hello: true }, '*');
}

void serve();
