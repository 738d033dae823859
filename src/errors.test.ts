import { expect, it } from 'vitest';
import { NibbleError } from './errors';

it.each([
  ['Get https://me:pw@host.example/a/b?sig=1&x=2 again.', 'Get https://host.example/a/b again.'],
  ['No file (http://h:8080/m.gguf?token=t). Check it.', 'No file (http://h:8080/m.gguf). Check it.'],
  ['At https://tok@h/: a sentence? And another.', 'At https://h/: a sentence? And another.'],
  ['Nothing to hide: a?b=c, me@host', 'Nothing to hide: a?b=c, me@host'],
])('the secrets of an address stay out of the sentence "%s"', (text, expected) => {
  expect(new NibbleError('network', text).message).toBe(expected);
});
