import { expect, it } from 'vitest';
import { NibbleError } from './errors';

it.each([
  ['Get https://me:pw@host.example/a/b?sig=1&x=2 again.', 'Get https://host.example/a/b again.'],
  ['No file (http://h:8080/m.gguf?token=t). Check it.', 'No file (http://h:8080/m.gguf). Check it.'],
  ['At https://tok@h/: a sentence? And another.', 'At https://h/: a sentence? And another.'],
  ['(https://h/a(1)/m.gguf?sig=a)b(c: 404).', '(https://h/a(1)/m.gguf: 404).'],
  ['HTTPS://me:p@ss@h/m/?sig=abc!', 'HTTPS://h/m/!'],
  ['Nothing to hide: a?b=c, me@host', 'Nothing to hide: a?b=c, me@host'],
])('the secrets of an address stay out of the sentence "%s"', (text, expected) => {
  expect(new NibbleError('network', text).message).toBe(expected);
});

it('a name without end is cut, in the sentence and in the details; an address and a path are not cut so soon', () => {
  const [name, url] = ['x'.repeat(1e6), `https://host/${'a/'.repeat(300)}`];
  const { message, details } = new NibbleError('network', `${name} is not at ${url}. Try again.`, {
    name,
    url,
    names: Array(1000).fill(name),
  });
  expect(message).toBe(`${'x'.repeat(200)}… is not at ${url}. Try again.`);
  expect(details).toEqual({ name: `${'x'.repeat(200)}…`, url, names: Array(200).fill(`${'x'.repeat(200)}…`) });
});

it('a password is left out before a sentence is cut', () => {
  const { message } = new NibbleError(
    'network',
    `https://me:${'s'.repeat(5000)}@host/a is gone. ${'Why? '.repeat(1000)}`,
  );
  expect(message).toMatch(/^https:\/\/host\/a is gone\./);
  expect(message.length).toBe(2001);
});

it('a query that looks like the end of a sentence again and again is left out in one pass', () => {
  const { message } = new NibbleError('network', `https://h/m?${')'.repeat(1e6)}a, or?`);
  expect(message).toBe('https://h/m, or?');
});

it('the secrets of an address stay out of the details', () => {
  const { details } = new NibbleError('network', 'x', {
    key: 'https://me:pw@h/m/?sig=abc@main',
    n: 1,
    all: ['https://h/?a'],
  });
  expect(details).toEqual({ key: 'https://h/m/', n: 1, all: ['https://h/'] });
});
