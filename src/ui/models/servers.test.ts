import { beforeEach, describe, expect, test, vi } from 'vitest';
import { agreedServers, agreeTo, checkAgreed, modelsOf, revoke, serverAddress } from './servers';

const URL_ = 'https://llm.example/v1';

beforeEach(() => {
  const kept = new Map<string, string>();
  vi.stubGlobal('document', { baseURI: 'https://page.example/chat/' });
  vi.stubGlobal('location', { origin: 'https://page.example' });
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key),
  });
});

test('nothing is sent before the person agreed, and nothing after it was revoked', () => {
  expect(() => checkAgreed(URL_)).toThrow(/Nothing is sent to llm.example/);
  agreeTo(URL_);
  agreeTo('http://localhost:8080/v1');
  expect(agreedServers()).toEqual(['http://localhost:8080/v1', URL_]);
  expect(() => checkAgreed(URL_)).not.toThrow();
  expect(() => checkAgreed('https://llm.example/v2')).toThrow(/before you agree/);
  revoke(URL_);
  expect(agreedServers()).toEqual(['http://localhost:8080/v1']);
  expect(() => checkAgreed(URL_)).toThrow();
});

test('what is no list of addresses is none', () => {
  localStorage.setItem('nibble-servers', '{"a":1}');
  expect(agreedServers()).toEqual([]);
  localStorage.setItem('nibble-servers', 'no JSON');
  expect(agreedServers()).toEqual([]);
});

describe('an address', () => {
  test.each([
    ['llm.example', URL_],
    [' https://llm.example/ ', URL_],
    ['http://localhost:11434', 'http://localhost:11434/v1'],
    ['https://llm.example/api/v1/?key=x#y', 'https://llm.example/api/v1'],
  ])('%s', (typed, address) => expect(serverAddress(typed)).toBe(address));

  test.each(['', 'https://', 'https://me:secret@llm.example/v1'])('%j is none', (typed) => {
    expect(() => serverAddress(typed)).toThrow(/no address of a server/);
  });
});

describe('its models', () => {
  const answer = (body: string, status = 200) => vi.stubGlobal('fetch', async () => new Response(body, { status }));

  test('by their ids', async () => {
    answer('{"data":[{"id":"a"},{"id":7},null,{"id":"b"}]}');
    expect(await modelsOf(URL_)).toEqual(['a', 'b']);
  });

  test.each([
    ['{}', 401, /refuses the key/],
    ['', 500, /answered 500.*address/],
    ['<p>', 200, /lists no models/],
  ])('%j with %d says what to do', async (body, status, message) => {
    answer(body, status);
    await expect(modelsOf(URL_, 'secret')).rejects.toThrow(message);
    await expect(modelsOf(URL_, 'secret')).rejects.not.toThrow(/secret/);
  });

  test('where there is no answer, CORS and policy are named', async () => {
    vi.stubGlobal('fetch', async () => {
      throw new TypeError('Failed to fetch');
    });
    await expect(modelsOf(URL_)).rejects.toThrow(/CORS.*connect-src/);
  });
});
