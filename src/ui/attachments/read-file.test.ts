import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { ModelInfo } from '../../protocol';
import { INFO } from '../test/fake-engine';
import { EN_COMPOSER } from '../words/en-composer';
import { teach, Vocabulary } from '../words/words';
import { decodeText } from './decode-text';
import { fileKind } from './file-kind';
import { readFile, seesPictures } from './read-file';
import { Refused } from './refused';

teach(EN_COMPOSER);
const { say } = new Vocabulary();
const latin1 = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const utf16 = (text: string, little: boolean, mark: boolean) => {
  const units = Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
  if (mark) units.unshift(0xfeff);
  return Uint8Array.from(units.flatMap((unit) => (little ? [unit & 255, unit >> 8] : [unit >> 8, unit & 255])));
};

describe('what a file is', () => {
  test.each([
    ['a.bin', '\x89PNG\r\n\x1a\n', 'picture'],
    ['a.txt', '\xff\xd8\xff\xe0', 'picture'],
    ['a.webp', 'RIFF\x10\0\0\0WEBPVP8 ', 'picture'],
    ['a.heic', '\0\0\0\x18ftypheic', 'picture'],
    ['a.bmp', 'BM\x10\0\0\0\0\0', 'picture'],
    ['a.txt', 'BMW is a car, and this a text', 'text'],
    ['a.wav', 'RIFF\x10\0\0\0WAVEfmt ', 'sound'],
    ['a.mp3', '\xff\xfb\x90\x44', 'sound'],
    ['a.m4a', '\0\0\0\x18ftypM4A ', 'sound'],
    ['a.mp4', '\0\0\0\x18ftypisom', 'video'],
    ['a.gguf', 'GGUF\x03\0\0\0', 'model'],
    ['a.safetensors', '\x40\0\0\0\0\0\0\0{"__', 'model'],
    ['a.docx', 'PK\x03\x04', 'document'],
    ['a.zip', 'PK\x03\x04', 'archive'],
    ['a.txt', 'junk before\n%PDF-1.4', 'pdf'],
    ['a.txt', '\xff\xfeh\0i\0', 'text'],
    ['a.py', 'import os\n', 'text'],
  ])('%s that begins with %j: %s', (name, start, kind) => {
    expect(fileKind(name, latin1(start))).toBe(kind);
  });
});

describe('bytes as text', () => {
  const text = 'Grüße, 你好\r\nzweite Zeile\r';
  test('in UTF-8 and UTF-16, with and without a mark', () => {
    const plain = 'Grüße, 你好\nzweite Zeile\n';
    expect(decodeText(new TextEncoder().encode(text))).toBe(plain);
    expect(decodeText(new TextEncoder().encode(`\ufeff${text}`))).toBe(plain);
    for (const little of [true, false]) {
      expect(decodeText(utf16(text, little, true))).toBe(plain);
      expect(decodeText(utf16('only Latin letters', little, false))).toBe('only Latin letters');
    }
  });

  test.each([
    ['Latin-1', latin1('Gr\xfc\xdfe')],
    ['GBK', Uint8Array.of(0xc4, 0xe3, 0xba, 0xc3)],
    ['zeros', new Uint8Array(64)],
    ['control characters', latin1('\x01\x02\x03abc')],
    ['a cut UTF-16', Uint8Array.of(0xff, 0xfe, 0x00, 0xd8)],
  ])('but not %s', (_, bytes) => expect(decodeText(bytes)).toBeNull());
});

const file = (name: string, ...parts: (string | Uint8Array<ArrayBuffer>)[]) => new File(parts, name);
/** The text, or the sentence. */
const outcome = (of: File, info: ModelInfo | null = null) =>
  readFile(of, info).catch((error: unknown) => (error instanceof Refused ? say(error.phrase, error.put) : error));

test('a text is read, whatever its name', async () => {
  expect(await outcome(file('a.csv', 'a;b\r\n1;2\r\n'))).toBe('a;b\n1;2\n');
  expect(await outcome(file('Makefile', 'all:\n\tmake\f'))).toBe('all:\n\tmake\n');
  const pdf = new Uint8Array(readFileSync('reference/fixtures/pdf/latex.pdf'));
  // in Node there is no worker: the page's way is tested in the page
  expect(await outcome(file('a.pdf', pdf))).toBeInstanceOf(Error);
});

test.each([
  ['an empty file', file('a.txt'), 'a.txt is empty.'],
  ['blanks', file('a.txt', ' \n'), 'a.txt is empty.'],
  ['no text', file('a.dat', Uint8Array.of(1, 2, 3, 0)), 'a.dat is not a text in UTF-8 or UTF-16. If it'],
  ['an archive', file('a.zip', 'PK\x03\x04'), 'a.zip is an archive. Unpack it'],
  ['a text of an office program', file('a.odt', 'PK\x03\x04'), 'a.odt is a document of an office program. Export'],
  ['a model', file('m.gguf', 'GGUF'), 'm.gguf is a model. Load it under Models.'],
  ['a video', file('v.mkv', Uint8Array.of(0x1a, 0x45, 0xdf, 0xa3)), 'v.mkv is a video'],
  ['a large text', file('l.txt', new Uint8Array(8.5e6).fill(97)), 'l.txt has 9 MB; a text file may have 8 MB at most.'],
  ['a long text', file('l.txt', 'a'.repeat(4_000_001)), 'l.txt has 4,000,001 characters; 4,000,000 are read at most.'],
])('%s is refused with a sentence', async (_, each, sentence) => {
  expect(await outcome(each)).toContain(sentence);
});

describe('pictures and sound', () => {
  const GEMMA: ModelInfo = { ...INFO, family: 'gemma3_text', parameters: 3.9e9, name: 'gemma-3-4b-it' };
  const png = file('cat.png', Uint8Array.of(0x89, 0x50, 0x4e, 0x47));

  test('are refused, with whether this model could', async () => {
    expect(await outcome(png)).toBe('cat.png is a picture, and Nibble cannot show pictures to a model yet.');
    expect(await outcome(png, GEMMA)).toBe(
      'cat.png is a picture. gemma-3-4b-it was made to see pictures, but Nibble cannot show it any yet.',
    );
    expect(await outcome(png, INFO)).toMatch(/^cat\.png is a picture\. .* reads text alone, and Nibble cannot/);
    expect(await outcome(file('s.ogg', 'OggS'), GEMMA)).toMatch(/^s\.ogg is sound\. gemma-3-4b-it reads text alone/);
    expect(await outcome(file('s.ogg', 'OggS'))).toBe('s.ogg is sound, and Nibble cannot play sound to a model yet.');
  });

  test('of a server nobody knows', () => {
    expect(seesPictures({ ...GEMMA, source: 'server' })).toBeNull();
    expect(seesPictures({ ...GEMMA, parameters: 1e9 })).toBe(false);
  });
});
