import { describe, expect, it } from 'vitest';
import type { Push } from '../engine/answer';
import type { ToolCallPart } from '../protocol';
import { Calls } from './calls';

const KNOWN = new Set(['sky', 'sea']);

/** What comes of deltas, each in a chunk of its own. */
function collect(...deltas: unknown[]) {
  const told: { text: string; call: ToolCallPart }[] = [];
  const push: Push = (_, text, more) => void told.push({ text, call: more!.call! });
  const calls = new Calls(push, KNOWN);
  for (const delta of deltas) calls.take([delta]);
  calls.end();
  const said = calls.whole.map(({ id, name, text }) => [id, name, text]);
  return { said, whole: calls.whole, told };
}

const delta = (index: number | undefined, id: string | undefined, name?: string, given?: unknown) => ({
  ...(index !== undefined && { index }),
  ...(id !== undefined && { id }),
  function: { ...(name && { name }), ...(given !== undefined && { arguments: given }) },
});

describe('calls of tools', () => {
  it.each<[string, unknown[], string[][]]>([
    ['in one piece', [delta(0, 'a', 'sky', '{"town":"Bern"}')], [['a', 'sky', '{"town":"Bern"}']]],
    [
      'split anywhere',
      [delta(0, 'a', 'sky', ''), ...[...'{"town":"Bern"}'].map((sign) => delta(0, undefined, undefined, sign))],
      [['a', 'sky', '{"town":"Bern"}']],
    ],
    [
      'that repeat id and name with each piece',
      [delta(0, 'a', 'sky', '{"a"'), delta(0, 'a', 'sky', ':1}')],
      [['a', 'sky', '{"a":1}']],
    ],
    [
      'two of them, pieces in turn',
      [
        delta(0, 'a', 'sky', '{'),
        delta(1, 'b', 'sea', '{"x'),
        delta(0, undefined, undefined, '}'),
        delta(1, undefined, undefined, '":2}'),
      ],
      [
        ['a', 'sky', '{}'],
        ['b', 'sea', '{"x":2}'],
      ],
    ],
    [
      'with the same id: the second gets its own',
      [delta(0, 'a', 'sky', '{}'), delta(1, 'a', 'sea', '{}'), delta(2, 'a', 'sea', '{}')],
      [
        ['a', 'sky', '{}'],
        ['a-2', 'sea', '{}'],
        ['a-3', 'sea', '{}'],
      ],
    ],
    [
      'all under the index 0',
      [delta(0, 'a', 'sky', '{}'), delta(0, 'b', 'sea', '{}')],
      [
        ['a', 'sky', '{}'],
        ['b', 'sea', '{}'],
      ],
    ],
    [
      'without an index',
      [delta(undefined, 'a', 'sky', '{'), delta(undefined, undefined, undefined, '}')],
      [['a', 'sky', '{}']],
    ],
    [
      'without an id',
      [delta(0, undefined, 'sky', '{}'), delta(1, undefined, 'sea', '{}')],
      [
        ['call-0', 'sky', '{}'],
        ['call-1', 'sea', '{}'],
      ],
    ],
    ['with arguments that are an object', [delta(0, 'a', 'sky', { town: 'Bern' })], [['a', 'sky', '{"town":"Bern"}']]],
  ])('come %s', (_, deltas, said) => expect(collect(...deltas).said).toEqual(said));

  it('are told as they grow, the whole with the last piece', () => {
    const { told, whole } = collect(
      delta(0, 'a', 'sky', ''),
      delta(0, undefined, undefined, '{"town"'),
      delta(0, undefined, undefined, ':1}'),
    );
    expect(told.map(({ text }) => text)).toEqual(['', '{"town"', ':1}', '']);
    expect(told.map(({ call }) => call.whole)).toEqual([undefined, undefined, undefined, whole[0]]);
    expect(whole[0]).toEqual({ id: 'a', name: 'sky', arguments: { town: 1 }, text: '{"town":1}' });
  });

  it.each([
    ['cut off', delta(0, 'a', 'sky', '{"town": "Be'), /are no JSON, or are cut off/, null],
    ['no object', delta(0, 'a', 'sky', '[1]'), /no JSON object/, null],
    ['of a tool that there is not', delta(0, 'a', 'moon', '{}'), /There is no tool moon/, {}],
  ])('that cannot be made are not lost: %s', (_, one, error, given) => {
    const [call] = collect(one).whole;
    expect(call.error).toMatch(error);
    expect(call.arguments).toEqual(given);
  });

  it('have {} for arguments where nothing is said', () => {
    expect(collect(delta(0, 'a', 'sky')).whole[0].arguments).toEqual({});
  });

  it.each([null, 7, 'x', {}, { index: 0 }, { index: 0, function: null }, { function: { arguments: '{}' } }])(
    'are none where a delta is %j',
    (one) => expect(collect(one).said).toEqual([]),
  );
});
