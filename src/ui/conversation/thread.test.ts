/** What was said as a tree: whatever is done with it, it stays one. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ChatMessage } from '../../protocol';
import {
  alter,
  append,
  EMPTY_THREAD,
  removeTurn,
  sayAgain,
  showTurn,
  siblingsOf,
  type Thread,
  threadOf,
  wayOf,
} from './thread';

const say = (content: string, role: ChatMessage['role'] = 'user'): ChatMessage => ({ role, content });
const said = (thread: Thread) => wayOf(thread).map(({ message }) => message.content);

/** What a person may do; numbers choose among the turns. */
type Step = ['say' | 'beside' | 'show' | 'remove' | 'alter', number];
const steps = fc.array(
  fc.tuple(fc.constantFrom<Step[0][]>('say', 'say', 'beside', 'show', 'remove', 'alter'), fc.nat(1000)),
  { maxLength: 40 },
);

let last = 0;
function take(thread: Thread, [what, number]: Step): Thread {
  const turn = thread.turns[number % Math.max(1, thread.turns.length)];
  const id = `t${last++}`;
  const role = (parent: string | null) =>
    thread.turns.find((other) => other.id === parent)?.message.role === 'user' ? 'assistant' : 'user';
  if (what === 'say' || !turn)
    return append(thread, { id, parent: thread.leaf, message: say(id, role(thread.leaf)), at: 0 });
  if (what === 'beside') return append(thread, { id, parent: turn.parent, message: say(id, turn.message.role), at: 0 });
  if (what === 'show') return showTurn(thread, turn.id);
  if (what === 'remove') return removeTurn(thread, turn.id);
  return alter(thread, turn.id, { message: say(id, turn.message.role) });
}

/** Every turn's parent is there, and the way begins with the first and follows parents to the leaf. */
function isWhole(thread: Thread): void {
  const ids = new Set(thread.turns.map(({ id }) => id));
  expect(ids.size).toBe(thread.turns.length);
  for (const { parent } of thread.turns) expect(parent === null || ids.has(parent)).toBe(true);
  expect(thread.leaf === null || ids.has(thread.leaf)).toBe(true);
  const way = wayOf(thread);
  expect(way.at(-1)?.id ?? null).toBe(thread.leaf);
  expect(way.map(({ parent }) => parent)).toEqual([null, ...way.map(({ id }) => id)].slice(0, way.length));
}

describe('a thread', () => {
  test('is a tree with one way through it, whatever is done', () => {
    fc.assert(
      fc.property(steps, (all) => {
        let thread = EMPTY_THREAD;
        for (const step of all) {
          const before = JSON.stringify(thread);
          const next = take(thread, step);
          // what it got stays as it is
          expect(JSON.stringify(thread)).toBe(before);
          thread = next;
          isWhole(thread);
        }
      }),
    );
  });

  test('that shows a turn has it on its way, and ends where nothing follows', () => {
    fc.assert(
      fc.property(steps, fc.nat(1000), (all, number) => {
        const thread = all.reduce(take, EMPTY_THREAD);
        if (thread.turns.length === 0) return;
        const { id } = thread.turns[number % thread.turns.length];
        const shown = showTurn(thread, id);
        expect(wayOf(shown).map((turn) => turn.id)).toContain(id);
        expect(shown.turns.some(({ parent }) => parent === shown.leaf)).toBe(false);
      }),
    );
  });

  test('without a turn has none of what followed it, and all else', () => {
    fc.assert(
      fc.property(steps, fc.nat(1000), (all, number) => {
        const thread = all.reduce(take, EMPTY_THREAD);
        if (thread.turns.length === 0) return;
        const { id } = thread.turns[number % thread.turns.length];
        const isAfter = (turn: string | null): boolean =>
          turn !== null && (turn === id || isAfter(thread.turns.find((other) => other.id === turn)!.parent));
        expect(removeTurn(thread, id).turns).toEqual(thread.turns.filter((turn) => !isAfter(turn.id)));
      }),
    );
  });

  test('without what was shown shows what stood beside it, or what was before', () => {
    const thread = threadOf([say('a'), say('b', 'assistant')]);
    const [a, b] = thread.turns;
    const two = append(thread, { id: 'c', parent: a.id, message: say('c', 'assistant'), at: 0 });
    expect(siblingsOf(two, 'c').map(({ id }) => id)).toEqual([b.id, 'c']);
    expect(said(removeTurn(two, 'c'))).toEqual(['a', 'b']);
    expect(said(removeTurn(thread, b.id))).toEqual(['a']);
    expect(removeTurn(thread, a.id)).toEqual(EMPTY_THREAD);
    expect(removeTurn(thread, 'none')).toBe(thread);
  });

  test('of a broken store goes in no circle', () => {
    const message = say('x');
    const circle: Thread = {
      turns: [
        { id: 'a', parent: 'b', message, at: 0 },
        { id: 'b', parent: 'a', message, at: 0 },
      ],
      leaf: 'a',
    };
    expect(wayOf(circle)).toHaveLength(2);
    expect(showTurn(circle, 'a').leaf).toBe('b');
    expect(removeTurn(circle, 'a').turns).toEqual([]);
  });

  test('that says other messages keeps the turns of the same ones', () => {
    const messages = [say('a'), say('b', 'assistant'), say('c')];
    const thread = alter(threadOf(messages), threadOf([]).leaf ?? '', {});
    const again = sayAgain(thread, [...messages.slice(0, 2), say('d')]);
    expect(again.turns.slice(0, 2)).toEqual(thread.turns.slice(0, 2));
    expect(again.turns[2].id).not.toBe(thread.turns[2].id);
    expect(said(again)).toEqual(['a', 'b', 'd']);
    expect(sayAgain(thread, [])).toEqual(EMPTY_THREAD);
  });
});
