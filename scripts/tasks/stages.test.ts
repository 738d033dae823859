import { expect, it } from 'vitest';
import { runStages, type Stage, Turns } from './stages';

/** Stages that end when they are told to, and what happened in which order. */
function controlled(stages: Stage[], failing: string[] = [], most?: number) {
  const log: string[] = [];
  const ends = new Map<string, () => void>();
  const done = runStages(
    stages,
    async ({ name }, write) => {
      log.push(`${name} starts`);
      write(`${name} 1;`);
      await new Promise<void>((resolve) => ends.set(name, resolve));
      write(`${name} 2;`);
      return { name, ok: !failing.includes(name) };
    },
    (text) => log.push(text),
    most,
  );
  const settle = async () => {
    for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
  };
  return {
    log,
    done,
    settle,
    async end(name: string) {
      ends.get(name)!();
      await settle();
    },
  };
}

const stage = (name: string, ...after: string[]): Stage => ({ name, after });

it('starts what waits for nothing, and each other stage when those before it have ended', async () => {
  const { log, done, settle, end } = controlled([stage('a'), stage('b'), stage('c', 'a', 'b'), stage('d', 'missing')]);
  await settle();
  const starts = () => log.filter((line) => line.endsWith('starts'));
  expect(starts()).toEqual(['a starts', 'b starts', 'd starts']);
  await end('a');
  expect(starts()).toHaveLength(3);
  await end('b');
  expect(starts()).toEqual(['a starts', 'b starts', 'd starts', 'c starts']);
  await end('c');
  await end('d');
  expect((await done).map(({ name }) => name)).toEqual(['a', 'b', 'c', 'd']);
});

it('has no more of them at a time than it may, and takes the first of those that could start', async () => {
  const stages = [stage('a'), stage('b'), stage('c', 'a', 'b'), stage('d', 'a'), stage('e', 'b')];
  const { log, done, settle, end } = controlled(stages, [], 2);
  await settle();
  const starts = () => log.flatMap((line) => /^(\w) starts$/.exec(line)?.[1] ?? []).join('');
  expect(starts()).toBe('ab');
  await end('a');
  expect(starts()).toBe('abd');
  // c and e could start now, and there is room for one
  await end('b');
  expect(starts()).toBe('abdc');
  await end('d');
  expect(starts()).toBe('abdce');
  await end('e');
  await end('c');
  expect((await done).map(({ name }) => name)).toEqual(['a', 'b', 'c', 'd', 'e']);
});

it('goes on after a stage that failed', async () => {
  const { done, settle, end } = controlled([stage('a'), stage('b', 'a')], ['a']);
  await settle();
  await end('a');
  await end('b');
  expect(await done).toEqual([
    { name: 'a', ok: false },
    { name: 'b', ok: true },
  ]);
});

it('prints the first as it writes, and the others in one piece each', async () => {
  const { log, settle, end } = controlled([stage('a'), stage('b'), stage('c')]);
  const printed = () => log.filter((line) => line.endsWith(';')).join(' ');
  await settle();
  expect(printed()).toBe('a 1;');
  await end('c');
  expect(printed()).toBe('a 1;');
  await end('a');
  // b is the first now; c has ended and waits for it
  expect(printed()).toBe('a 1; a 2; b 1;');
  await end('b');
  expect(printed()).toBe('a 1; a 2; b 1; b 2; c 1; c 2;');
});

it('prints nothing twice, and nothing of one in the middle of another', () => {
  let printed = '';
  const turns = new Turns((text) => {
    printed += text;
  });
  const [a, b] = [turns.open(), turns.open()];
  b.write('b');
  a.write('a');
  b.end();
  expect(printed).toBe('a');
  a.write('a');
  a.end();
  expect(printed).toBe('aab');
  const c = turns.open();
  c.write('c');
  expect(printed).toBe('aabc');
});
