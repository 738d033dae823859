import { expect, test } from 'vitest';
import { ChatSession } from '../conversation/session';
import { FakeEngine, fakeLoad } from '../test/fake-engine';
import { sendFiles } from './send-files';

function open() {
  const engine = new FakeEngine();
  const session = new ChatSession(fakeLoad(engine), { choice: { model: 'm', name: 'm' }, engine: {}, sampling: {} });
  sendFiles(session);
  return { engine, session };
}

test('a file goes with its question, also with one that was asked before the model was here', async () => {
  const { engine, session } = open();
  const attached = [{ name: 'note.md', text: 'The password is quince.' }];
  const answered = session.ask('What is it?', { attached });
  await session.load();
  await answered;
  expect(engine.asked[0].at(-1)?.content).toBe('File "note.md":\nThe password is quince.\n\nWhat is it?');
  expect(session.way[0]).toMatchObject({ question: 'What is it?', attached });
  await session.ask('And now?');
  expect(engine.asked[1].at(-1)?.content).toBe('And now?');
});

test('a long file is searched again for the next question', async () => {
  const { engine, session } = open();
  await session.load();
  const text = ['harbour', 'lighthouse', 'bakery'].map((name) => `The ${name} ${'is old '.repeat(3000)}`).join('\f');
  await session.ask('the lighthouse?', { attached: [{ name: 'town.pdf', text }] });
  const [{ attached }] = session.way;
  expect(attached?.[0].used?.length).toBeGreaterThan(0);
  expect(engine.asked[0].at(-1)?.content).toMatch(/^Passages of "town\.pdf":\n\[page \d\]/);
  await session.ask('the bakery?');
  expect(session.way.at(-2)?.attached).toMatchObject([{ name: 'town.pdf', text: '' }]);
});
