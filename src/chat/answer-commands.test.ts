import { expect, test, vi } from 'vitest';
import { commands } from '../ui/commands/commands';
import { ChatSession } from '../ui/conversation/session';
import { FakeEngine, fakeLoad } from '../ui/test/fake-engine';
import { registerAnswerCommands } from './answer-commands';

const told = vi.hoisted(() => vi.fn());
vi.mock('../ui/commands/told', () => ({ tell: told }));

const now = () => commands.now.map(({ name }) => name);
const run = (name: string) => commands.now.find((command) => command.name === name)!.run();

test('what can be done with the last answer can be done when there is one that allows it', async () => {
  const engine = new FakeEngine();
  const session = new ChatSession(fakeLoad(engine), { choice: { model: 'm', name: 'm' }, engine: {}, sampling: {} });
  const kept = { readOnly: false };
  registerAnswerCommands({ session, kept } as never, session);
  expect(now()).toEqual([]);
  await session.load();
  expect(now()).toEqual([]);
  await session.ask('Hi');
  expect(now()).toEqual(['copyAnswer', 'answerLastAgain']);
  kept.readOnly = true;
  expect(now()).toEqual(['copyAnswer']);
  kept.readOnly = false;

  const writeText = vi.fn(async (_text: string) => {});
  vi.stubGlobal('navigator', { clipboard: { writeText } });
  await run('copyAnswer');
  expect(writeText).toHaveBeenCalledWith('Hello there.');
  writeText.mockRejectedValueOnce(new Error());
  await run('copyAnswer');
  expect(told.mock.calls).toEqual([['answerCopied'], ['answerNotCopied']]);
  vi.unstubAllGlobals();

  let during: string[] = [];
  engine.pace = async () => {
    during = now();
    if (session.messages.at(-1)?.content === 'Hello') session.stop();
  };
  await run('answerLastAgain');
  expect([during, session.thread.turns.length, session.cut?.finish]).toEqual([[], 3, 'aborted']);
  expect(now()).toEqual(['copyAnswer', 'continueLast', 'answerLastAgain']);
  engine.pace = () => Promise.resolve();
  await run('continueLast');
  expect([session.cut, now()]).toEqual([null, ['copyAnswer', 'answerLastAgain']]);

  // one that repeated itself is tried again, and not gone on with
  session.cut = { finish: 'loop', ids: [1] };
  expect(now()).toEqual(['copyAnswer', 'answerLastAgain', 'withPenalty']);
  await run('withPenalty');
  expect(engine.sampling.at(-1)!.repetitionPenalty).toBeGreaterThan(1);

  await session.remove(session.way[0].id);
  expect(now()).toEqual(['undo']);
  run('undo');
  expect(now()).toEqual(['copyAnswer', 'answerLastAgain']);
  session.newChat();
  expect(now()).toEqual(['undo']);
  run('undo');
  expect(session.messages).toHaveLength(2);
  await session.unload();
  expect(now()).toEqual(['copyAnswer', 'answerLastAgain']);
});
