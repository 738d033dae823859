/**
 * How long the page is busy at a time while it draws an answer that is as large and as odd as can be: for each text how
 * many frames it takes, and which of their tasks last over 50 ms. In the built widget's list of messages. Needs
 * `npm run build`; run it alone.
 *
 *   node scripts/run.mjs ../bench/long-answers [--characters 100000] [--only TEXT]
 */
import { parseArgs } from 'node:util';
import { openLibraryPage } from './library-page';

/** What each text repeats; what it begins with. */
const TEXTS: Record<string, [repeated: string, before?: string]> = {
  prose: ['The quick brown fox jumps. '],
  'line ends': ['\n'],
  spaces: [' '],
  'square brackets': ['[[](a)'],
  stars: ['*a **b** '],
  underscores: ['_a __b__ '],
  tildes: ['~~a~~ '],
  'code spans': ['`a``b```c````d'],
  'a table': ['|1|2|\n', '|a|b|\n|-|-|\n'],
  'quotes in quotes': ['> '],
  'lists in lists': ['- '],
  'a list': ['- a\n'],
  'a loose list': ['- a\n\n'],
  'a numbered list': ['1. a\n'],
  tasks: ['- [ ] a\n'],
  headings: ['# a\n'],
  'underlined headings': ['a\n=\n'],
  rules: ['---\n'],
  'code without an end': ['a\n', '```\n'],
  fences: ['```\n'],
  'angle brackets': ['<a href="'],
  comments: ['<!-- a -'],
  addresses: ['http://a.b/ '],
  'addresses in brackets': ['<http://a '],
  mailboxes: ['a@b.c '],
  'half mailboxes': ['a.a.a@'],
  ampersands: ['&amp;'],
  backslashes: ['\\*'],
  definitions: ['[a]: http://x\n'],
  'accents on accents': ['a\u0301\u0301\u0301'],
};

interface Drawn {
  frames: number;
  elements: number;
  /** ms of each task of more than 50 */
  long: number[];
}

/** In the page: draws the text as a whole answer, and waits until nothing of it is left to draw. */
async function draw(text: string): Promise<Drawn> {
  const list = document.createElement('nibble-messages') as HTMLElement & {
    messages: object[];
    updated(): void;
  };
  list.style.cssText = 'display:block;height:600px;width:800px';
  document.body.replaceChildren(list);
  const warm = { role: 'assistant', content: 'Hello *you*' };
  list.messages = [warm];
  await new Promise((resolve) => setTimeout(resolve, 300));
  const drawn: Drawn = { frames: 0, elements: 0, long: [] };
  const watch = new PerformanceObserver((entries) => {
    for (const { duration } of entries.getEntries()) drawn.long.push(duration);
  });
  watch.observe({ type: 'longtask' });
  const updated = list.updated.bind(list);
  let last = performance.now();
  list.updated = () => {
    drawn.frames++;
    last = performance.now();
    updated();
  };
  list.messages = [warm, { role: 'assistant', content: text }];
  do await new Promise((resolve) => setTimeout(resolve, 100));
  while (performance.now() - last < 500);
  watch.disconnect();
  drawn.elements = list.shadowRoot!.querySelectorAll('.assistant *').length;
  return drawn;
}

export async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { characters: { type: 'string', default: '100000' }, only: { type: 'string', default: '' } },
  });
  const length = Number(values.characters);
  const { page, machine, close } = await openLibraryPage();
  console.log(`${machine}; texts of ${length} characters\n`);
  console.log('| text | frames | elements | tasks over 50 ms |\n|---|---|---|---|');
  let [frames, long] = [0, 0];
  try {
    await page.addScriptTag({ type: 'module', url: '/lib/embed/nibble-chat.js' });
    await page.waitForFunction(() => customElements.get('nibble-messages'));
    for (const [name, [repeated, before = '']] of Object.entries(TEXTS)) {
      if (!name.includes(values.only)) continue;
      const text = (before + repeated.repeat(Math.ceil(length / repeated.length))).slice(0, length);
      const drawn = await page.evaluate(draw, text);
      frames += drawn.frames;
      long += drawn.long.length;
      const cells = [name, drawn.frames, drawn.elements, drawn.long.map((ms) => Math.round(ms)).join(', ') || '-'];
      console.log(`| ${cells.join(' | ')} |`);
    }
    console.log(`\n${long} of ${frames} frames had a task of more than 50 ms.`);
  } finally {
    await close();
  }
  return 0;
}
