/** In the browser, for bench/page.ts: the conversation as the page shows it, on an engine that says what it is told. */
import '../src/ui/conversation/chat-view';
import type { ChatView } from '../src/ui/conversation/chat-view';
import { ChatSession } from '../src/ui/conversation/session';
import { FakeEngine, fakeLoad } from '../src/ui/test/fake-engine';

const CHOICE = { name: 'fake', source: { url: '/fake/' } } as unknown as ChatSession['choice'];

/** What messages of a long conversation say: prose, a list, code, a table and formulas, in turn. */
const SAID = [
  'It **scatters** the *short waves* of light more than the long ones. '.repeat(6),
  '1. Sunlight holds every colour.\n2. Blue is scattered four times as much as red.\n3. So it reaches you from everywhere.',
  '```js\nconst ratio = (700 / 450) ** 4; // 5.9\nfor (const wave of waves) {\n  if (wave < 450) scatter(wave, "blue");\n}\n```\n\nThat is the ratio.',
  '| Colour | Wave, nm |\n|:--|--:|\n| red | 700 |\n| green | 546 |\n| blue | 450 |\n\nShorter waves scatter more.',
  'The intensity grows with $\\lambda^{-4}$:\n\n$$\nI = I_0 \\frac{8\\pi^4 N\\alpha^2}{\\lambda^4 R^2}(1 + \\cos^2\\theta)\n$$\n\nwhere $N$ counts the molecules.',
];

const frame = () => new Promise<number>((resolve) => requestAnimationFrame(resolve));

const engine = new FakeEngine();
let view: ChatView;

const list = () => view.shadowRoot!.querySelector('nibble-messages');
const root = () => list()?.shadowRoot;
const shown = () => root()?.textContent ?? '';

/** A page that is loaded, and in which nothing was said. */
async function begin(): Promise<void> {
  view?.remove();
  const options = { choice: CHOICE, engine: {}, sampling: {} } as unknown as ConstructorParameters<
    typeof ChatSession
  >[1];
  view = document.createElement('nibble-view') as ChatView;
  view.session = new ChatSession(fakeLoad(engine), options);
  document.body.append(view);
  await view.session.load(true);
  await view.updateComplete;
  // what reads Markdown, code and formulas is there: something was said before
  say([
    { role: 'user', content: 'a' },
    { role: 'assistant', content: SAID.join('\n\n') },
  ]);
  while (!root()?.querySelector('math') || !root()?.querySelector('.keyword')) await frame();
  say([]);
  await view.updateComplete;
}

function say(messages: ChatSession['messages']): void {
  view.session.messages = messages;
  view.session.dispatchEvent(new Event('change'));
}

/** Puts a conversation of so many messages on the screen. @returns ms until its end stands there as Markdown, drawn */
async function open(messages: number): Promise<number> {
  await begin();
  const said = Array.from({ length: messages }, (_, i) =>
    i % 2
      ? { role: 'assistant' as const, content: SAID[(i >> 1) % SAID.length] }
      : { role: 'user' as const, content: `Question ${i}: why?` },
  );
  said[said.length - 1] = { role: 'assistant', content: 'This is **the end** of it.' };
  const before = performance.now();
  say(said);
  const strong = () => [...(root()?.querySelectorAll('strong') ?? [])].at(-1)?.textContent;
  while (strong() !== 'the end') await frame();
  // what was drawn in this frame is on the screen before the next one
  await frame();
  return performance.now() - before;
}

/** Scrolls from the end to the beginning. @returns ms between frames */
async function scroll(frames: number): Promise<number[]> {
  const times: number[] = [];
  const element = list()!;
  const { scrollTop } = element;
  let last = await frame();
  for (let i = 1; i <= frames; i++) {
    element.scrollTop = scrollTop * (1 - i / frames);
    const now = await frame();
    times.push(now - last);
    last = now;
  }
  return times;
}

/** Answers with a text, 400 characters every 16 ms. @returns characters of it that are shown */
async function stream(text: string): Promise<number> {
  engine.answer = text.match(/[\s\S]{1,400}/g)!;
  // as a worker's messages come: in tasks of their own
  engine.pace = () => new Promise((resolve) => setTimeout(resolve, 16));
  const before = shown().length;
  await view.session.ask('Go on.');
  // what came last is read over several frames
  let length = -1;
  while (length !== shown().length) {
    length = shown().length;
    for (let i = 0; i < 20; i++) await frame();
  }
  return length - before;
}

Object.assign(globalThis, { bench: { begin, open, scroll, stream } });
export type Bench = { begin: typeof begin; open: typeof open; scroll: typeof scroll; stream: typeof stream };
