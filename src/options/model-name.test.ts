/** What names a model, and which. */
import { describe, expect, it } from 'vitest';
import { baseOf, parseHubPage, parseModelName } from './model-name';

const page = 'https://host.example/chat/index.html?x=1';
const address = (text: string, base?: string) => {
  const named = parseModelName(text, base);
  return named?.kind === 'http' ? named.url.href : named;
};

describe('a name is', () => {
  it.each([
    ['org/name', 'org/name', undefined],
    ['org-1/Na.me_4-bit', 'org-1/Na.me_4-bit', undefined],
    ['org/name/file.gguf', 'org/name', 'file.gguf'],
    ['org/name/a folder/file.Q4_0.gguf', 'org/name', 'a folder/file.Q4_0.gguf'],
  ])('a Hub id: %s', (text, id, file) => expect(parseModelName(text)).toEqual({ kind: 'hub', id, file }));

  it.each([
    ['https://a.b/m', 'https://a.b/m'],
    ['http://a.b/m/c.gguf?x=1#y', 'http://a.b/m/c.gguf?x=1#y'],
    ['./m/', 'https://host.example/chat/m/'],
    ['../m', 'https://host.example/m'],
    ['/m', 'https://host.example/m'],
    ['//c.d/m', 'https://c.d/m'],
  ])('an address: %s', (text, url) => expect(address(text, page)).toBe(url));

  it.each(['', 'one', 'a/b/c', 'a/b/c.bin', '.a/b', 'org/.name', 'ftp://a/b', 'HTTP://a.b/m', 'http://', 'data:,x'])(
    'nothing else: "%s"',
    (text) => expect(parseModelName(text, page)).toBeNull(),
  );

  it.each(['./m', '../m', '/m'])('no path where there is no page: %s', (text) =>
    expect(parseModelName(text)).toBeNull(),
  );
});

it('a folder’s address ends with a slash, a file’s does not, and a fragment is none of it', () => {
  const base = (text: string) => baseOf(new URL(text));
  expect(base('https://a.b/m?x=1#y')).toBe('https://a.b/m/?x=1');
  expect(base('https://a.b/m/')).toBe('https://a.b/m/');
  expect(base('https://a.b/m/c.gguf#y')).toBe('https://a.b/m/c.gguf');
});

it('a page of the Hub names its repository, its file where that is a .gguf, and a revision', () => {
  expect(parseHubPage('https://huggingface.co/org/name')).toEqual({ name: 'org/name' });
  expect(parseHubPage('https://hf.co/org/name/')).toEqual({ name: 'org/name' });
  expect(parseHubPage('https://hf.co/org/name?library=x#files')).toEqual({ name: 'org/name' });
  const tree = parseHubPage('https://huggingface.co/org/name/tree/refs%2Fpr%2F1');
  expect(tree).toEqual({ name: 'org/name', revision: 'refs%2Fpr%2F1' });
  const file = parseHubPage('https://huggingface.co/org/name/blob/main/a/b.gguf?download=true');
  expect(file).toEqual({ name: 'org/name/a/b.gguf', revision: 'main' });
  expect(parseHubPage('https://huggingface.co/org/name/blob/main/config.json')).toMatchObject({ name: 'org/name' });
  for (const other of [
    'http://huggingface.co/org/name',
    'https://a.b/org/name',
    'https://huggingface.co/org',
    'org/name',
  ])
    expect(parseHubPage(other)).toBeNull();
});
