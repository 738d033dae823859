import { describe, expect, test } from 'vitest';
import { wayOf } from '../../ui/conversation/thread';
import type { Conversation } from './conversation';
import { asJson, asMarkdown, fileName } from './export';
import { readConversations } from './import';

const said = ({ thread }: Conversation) => wayOf(thread).map(({ message }) => `${message.role}: ${message.content}`);
const read = (value: unknown) =>
  readConversations(typeof value === 'string' ? value : JSON.stringify(value), 'org/model');

const node = (parent: string | null, role: string, ...parts: unknown[]) => ({
  parent,
  message: { author: { role }, content: { content_type: 'text', parts }, create_time: 1_700_000_000.5 },
});

describe('an export of ChatGPT', () => {
  const mapping = {
    root: { parent: null, message: null },
    system: node('root', 'system', ''),
    first: node('system', 'user', 'Hello'),
    answer: node('first', 'assistant', 'Hi'),
    tool: node('first', 'tool', 'a result'),
    again: node('tool', 'assistant', 'Hi ', 'again'),
    picture: node('again', 'user', { content_type: 'image_asset_pointer', asset_pointer: 'file://x' }, 'And this?'),
  };

  test('is read with all its ways, the one that was shown being shown', () => {
    const { conversations, all } = read([
      { title: 'Greeting', create_time: 1_700_000_000, mapping, current_node: 'picture' },
    ]);
    expect(all).toBe(1);
    const [one] = conversations;
    expect([one.title, one.titled, one.created, one.address]).toEqual([
      'Greeting',
      'person',
      1_700_000_000_000,
      'org/model',
    ]);
    expect(said(one)).toEqual(['user: Hello', 'assistant: Hi again', 'user: And this?']);
    expect(one.thread.turns).toHaveLength(4);
  });

  test('that goes in circles, or has no beginning, is read as far as it can be', () => {
    const circle = { a: node('b', 'user', 'A'), b: node('a', 'assistant', 'B'), c: node('gone', 'user', 'C') };
    const { conversations } = read([{ mapping: circle, current_node: 'nowhere' }]);
    expect(said(conversations[0])).toEqual(['user: C']);
    const empty = { a: { parent: 'b', message: null }, b: { parent: 'a', message: null }, c: node('a', 'user', 'C') };
    expect(said(read([{ mapping: empty }]).conversations[0])).toEqual(['user: C']);
  });
});

test('an export of Jan is read: a thread with its messages, or its lines alone', () => {
  const content = (value: string) => [{ type: 'text', text: { value, annotations: [] } }];
  const messages = [
    { object: 'thread.message', role: 'user', content: content('What is 2 + 2?'), created_at: 1_716_000_000_000 },
    { object: 'thread.message', role: 'assistant', content: content('4'), created_at: 1_716_000_001_000 },
  ];
  const [one] = read({ id: 'x', object: 'thread', title: 'Sums', messages }).conversations;
  expect([one.title, ...said(one)]).toEqual(['Sums', 'user: What is 2 + 2?', 'assistant: 4']);
  expect(one.updated).toBe(1_716_000_001_000);
  const lines = messages.map((message) => JSON.stringify(message)).join('\n');
  const { conversations } = read(`${lines}\n{"role": "user", "con`);
  expect([conversations[0].title, ...said(conversations[0])]).toEqual(['What is 2 + 2?', ...said(one)]);
});

test('what was exported here is the same when it comes back, but for its name and its cache', () => {
  const [one] = read({
    messages: [
      { role: 'user', content: 'Hello *you*' },
      { role: 'assistant', content: 'Hi' },
    ],
  }).conversations;
  const kept: Conversation = {
    ...one,
    pinned: true,
    folder: 'A',
    cache: 'c',
    cached: true,
    settings: { system: 'Be brief', temperature: 0.5 },
    named: { model: 'org/m' },
  };
  const text = asJson([kept]);
  expect(text).not.toContain('"cache');
  const { conversations } = read(text);
  expect(conversations).toEqual([{ ...kept, id: conversations[0].id, cache: '', cached: false }]);
  expect(conversations[0].id).not.toBe(kept.id);
  expect(asMarkdown(kept)).toBe(
    '# Hello *you*\n\nModel: org/m\n\n> Be brief\n\n## You\n\nHello *you*\n\n## Model\n\nHi\n',
  );
  expect(fileName('a/b: "c"?', 'md')).toBe('a b c.md');
});

describe('what cannot be read', () => {
  test.each([
    ['nothing', ''],
    ['half a file', '{"mapping": {"a": '],
    ['a number', '5'],
    ['other JSON', { hello: ['world'] }],
    ['a list of nothings', [null, 1, 'x', [], {}]],
    ['messages without texts', { messages: [{ role: 'user' }, { role: 'assistant', content: 5 }] }],
    ['roles of others', { messages: [{ role: 'system', content: 'x' }] }],
    ['a thread of turns that are none', { thread: { turns: [{ id: 5 }, null], leaf: 'x' } }],
  ])('%s has no conversation', (_, value) => {
    expect(read(value).conversations).toEqual([]);
  });

  test('is left out and counted, and the others are taken', () => {
    const good = { title: 'Good', messages: [{ role: 'user', content: 'Hello' }] };
    const { conversations, all } = read([good, { title: 'Bad' }, good]);
    expect([conversations.length, all]).toEqual([2, 3]);
  });
});

test('markup is text, settings are those that there are, and dates are no later than now', () => {
  const value = {
    kind: 'nibble-conversations',
    conversations: [
      {
        title: '<script>alert(1)</script>'.repeat(50),
        updated: 9e15,
        folder: { toString: 'x' },
        settings: { temperature: 'hot', topP: 0.5, system: 5, evil: 1 },
        thread: {
          turns: [
            {
              id: '__proto__',
              parent: null,
              at: 1,
              stats: 'fast',
              cut: { finish: 'later' },
              message: { role: 'user', content: '<img onerror=x>', tool_calls: 5 },
            },
          ],
          leaf: 'none',
        },
      },
    ],
  };
  const [one] = read(value).conversations;
  expect(one.title.length).toBeLessThanOrEqual(201);
  expect([one.folder, one.settings, said(one)]).toEqual([null, { topP: 0.5 }, ['user: <img onerror=x>']]);
  expect(one.thread.turns[0]).toEqual({
    id: '__proto__',
    parent: null,
    at: 1,
    message: { role: 'user', content: '<img onerror=x>' },
  });
  expect(one.updated).toBeLessThanOrEqual(Date.now());
});

test('10,000 messages in one conversation are read at once', () => {
  const mapping = Object.fromEntries(
    Array.from({ length: 10_000 }, (_, i) => [
      `${i}`,
      node(i === 0 ? null : `${i - 1}`, i % 2 ? 'assistant' : 'user', `${i}`),
    ]),
  );
  expect(said(read([{ mapping, current_node: '9999' }]).conversations[0])).toHaveLength(10_000);
});
