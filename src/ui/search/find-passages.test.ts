/**
 * Thirty questions over three long texts: bench/texts/prose.txt, and two of reference/make_passages.py. They were
 * written from the answers, in other words than the texts have where there are some.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { estimateTokens } from './estimate-tokens';
import { findPassages } from './find-passages';
import { passagesOf } from './passages';
import { wordsOf } from './words-of';

/** What a context of 2,048 tokens leaves, with an answer of 256 and some history. */
const ROOM = 1200;

const TEXTS = {
  en: readFileSync('bench/texts/prose.txt', 'utf8'),
  de: readFileSync('reference/fixtures/passages/de.txt', 'utf8'),
  zh: readFileSync('reference/fixtures/passages/zh.txt', 'utf8'),
};

/** The question, and words of the passage that answers it. */
const QUESTIONS: Record<keyof typeof TEXTS, [question: string, answer: string][]> = {
  en: [
    ['Do cosmic rays that flip a bit get noticed by the database itself?', 'caused by cosmic rays, thermal noise'],
    ['How is the name of a super-journal file made up?', 'is a random 32-bit hexadecimal number'],
    ['Which size of sectors was taken for granted before version 3.3.14?', 'a sector size of 512 bytes was assumed'],
    ['Why would a reader never give way to a waiting writer?', 'prevent writer starvation caused by a large pool'],
    ['What happens to file locks when the machine crashes?', 'the lock will instantly vanish if the operating'],
    ['Can more than one program hold a reserved lock?', 'there can only be a single reserved lock'],
    ['What happens if the changes do not fit into memory before the commit?', 'the cache must spill to the database'],
    ['Does lowering the synchronous setting to normal bring any danger?', 'This carries a risk of corruption because'],
    [
      'At which moment does a transaction over several files commit?',
      'the point where the multi-file transaction commits',
    ],
    ['How does it find out how large the database was, to make it shorter again?', 'uses this information to truncate'],
  ],
  de: [
    ['Wie kam die erste Lok über den Pass?', 'gezogen von acht Pferden'],
    ['Wie schnell darf man auf der Zahnradstrecke bergab sein?', 'höchstens neun Stundenkilometer'],
    ['Was haben die Eingeschlossenen nach dem Lawinenunglück gegessen?', 'ernährten sich von einer Ladung Räucherkäse'],
    ['Woher kommt der Strom, wenn das Kraftwerk stillsteht?', 'übernimmt ein Dieselaggregat'],
    ['Was kostet eine Fahrt für ein Schaf?', 'der halbe Fahrpreis eines Kindes'],
    ['Warum läutet die große Glocke nur einmal im Jahr?', 'Sie hat einen Sprung'],
    ['Wo bekomme ich den Schlüssel für den Winterraum der Hütte?', 'hängt im Pfarrhaus'],
    ['Wann war es im Tal am heißesten?', 'der 11. Juli 1929'],
    ['Womit werden Keime im Trinkwasser abgetötet?', 'mit ultraviolettem Licht entkeimt'],
    ['Woran erkennen die Steinmetze einen lockeren Block im Damm?', 'Ein hohler Klang verrät'],
  ],
  zh: [
    ['水库大坝的石头是用什么粘起来的？', '糯米浆粘合'],
    ['清渠挖出的泥土怎么处理？', '免费送给茶农作肥料'],
    ['古书怎样防止受潮？', '樟木片和生石灰'],
    ['书还晚了会怎么样？', '替别人修补一本破损的书'],
    ['做豆腐的时候用什么点卤？', '腌菜坛子里的老酸水'],
    ['船工的桨是什么木头的？', '枣木'],
    ['石桥被冲走以后，孩子们怎么去学校？', '打谷用的木桶'],
    ['下雪时护林员用什么喂白鹇？', '撒玉米'],
    ['炒茶师傅怎么知道锅够不够热？', '把手掌悬在锅上三寸'],
    ['雨量由谁来记录？', '由道士兼管'],
  ],
};

/** Whether the passage that answers is among those that are sent. */
async function isSent(language: keyof typeof TEXTS, question: string, answer: string): Promise<boolean> {
  const text = TEXTS[language];
  const at = text.indexOf(answer);
  expect(at, `${language}: ${answer}`).toBeGreaterThan(0);
  const found = await findPassages([text], question, ROOM, estimateTokens);
  const tokens = found.reduce((sum, { start, end }) => sum + estimateTokens(text.slice(start, end)), 0);
  expect(tokens).toBeLessThanOrEqual(ROOM);
  return found.some(({ start, end }) => start <= at && at + answer.length <= end);
}

test('the passage that answers is among those sent for 27 of 30 questions, in English, German and Chinese', async () => {
  const missed: string[] = [];
  for (const [language, questions] of Object.entries(QUESTIONS) as [keyof typeof TEXTS, [string, string][]][]) {
    // a small part of the text is sent
    expect(ROOM / estimateTokens(TEXTS[language])).toBeLessThan(0.16);
    for (const [question, answer] of questions) if (!(await isSent(language, question, answer))) missed.push(question);
  }
  expect(missed.length, missed.join('\n')).toBeLessThanOrEqual(3);
});

test('words of several languages, as they are compared', () => {
  expect(wordsOf('Größe, CAFÉ & naïve ﬁles № 5')).toEqual(['grosse', 'cafe', 'naive', 'files', 'no', '5']);
  expect(wordsOf('图书馆九点开门。')).toEqual(expect.arrayContaining(['图书', '图', '书', '馆', '开门']));
  expect(wordsOf('!? …\n')).toEqual([]);
});

test('passages cover a text, each begins in the one before it, and pages and paragraphs are where they are cut', () => {
  const paragraph = (name: string) => `${`The ${name} has a gate, and a road leads to it. `.repeat(9)}\n\n`;
  const text = ['castle', 'mill', 'farm', 'inn', 'bridge', 'church'].map(paragraph).join('');
  const passages = passagesOf(text);
  expect(passages.length).toBeGreaterThan(2);
  expect([passages[0].start, passages.at(-1)!.end]).toEqual([0, text.length]);
  for (const [i, { start }] of passages.slice(1).entries()) expect(start).toBeLessThanOrEqual(passages[i].end);
  for (const { start, end } of passages) expect(estimateTokens(text.slice(start, end))).toBeLessThanOrEqual(330);
  expect(passagesOf('')).toEqual([]);
  // a text with no place to be cut at
  const long = '𠮷'.repeat(2000);
  expect(passagesOf(long).every(({ start, end }) => !long.slice(start, end).includes('\ufffd'))).toBe(true);
  expect(passagesOf(long).every(({ start }) => !/^[\udc00-\udfff]/.test(long.slice(start)))).toBe(true);
});

test('a question without a word of the text gets passages from all over it, and none twice', async () => {
  const text = Array.from({ length: 40 }, (_, i) => `Paragraph ${i} ${'x'.repeat(400)} ${'y'.repeat(400)}`).join(
    '\n\n',
  );
  const found = await findPassages([text], '???', 1100, estimateTokens);
  expect(found.length).toBeGreaterThan(2);
  expect(found.at(-1)!.start).toBeGreaterThan(text.length / 2);
  const first = text.slice(found[0].start, found[0].end);
  const others = await findPassages([text], '???', 1100, estimateTokens, [first]);
  expect(others.map(({ start }) => start)).not.toContain(found[0].start);
  expect(await findPassages([text], '???', 10, estimateTokens)).toEqual([]);
});
