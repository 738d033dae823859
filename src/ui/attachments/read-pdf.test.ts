/** PDFs of LaTeX, Chromium, LibreOffice and reportlab (reference/make_pdfs.py), and bad ones. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { EN_COMPOSER } from '../words/en-composer';
import { type PdfPlaces, pageText, readPdf } from './read-pdf';

const PLACES: PdfPlaces = {
  map: async (file) => new Uint8Array(readFileSync(`node_modules/pdfjs-dist/cmaps/${file}`)),
  worker: null,
};
const fixture = (name: string) => new Uint8Array(readFileSync(`reference/fixtures/pdf/${name}`));
const read = (name: string, places = PLACES) => readPdf(name, fixture(name), places);
const pagesOf = async (name: string) => (await read(name)).split('\f');

test('LaTeX: ligatures, umlauts, divided words and paragraphs', async () => {
  const [first, second, ...more] = await pagesOf('latex.pdf');
  expect(first).toContain('keeps an efficient index');
  expect(first.replaceAll('\n', ' ')).toMatch(/tower at Flügge, whose lamp burns whale oil/);
  expect(first.replaceAll('\n', ' ')).toMatch(/extraordinarily comprehensive report on every shipwreck/);
  expect(first).toMatch(/shipwreck\.\s+A second paragraph/);
  expect(second).toMatch(/Grüne Bucht/);
  expect(more).toEqual([]);
});

test("Chromium's print, in Latin letters and in Chinese", async () => {
  const [first, second] = await pagesOf('chromium.pdf');
  expect(first).toContain('The gardener waters the quinces before sunrise.');
  expect(first).toContain('\n\nNobody else has the key');
  expect(second).toContain('园丁在日出之前给榅桲树浇水');
});

test('LibreOffice, with a table', async () => {
  const text = (await pagesOf('libreoffice.pdf')).join('\n');
  expect(text).toMatch(/Bees[\s\S]*thirty-five degrees in winter\.[\s\S]*June\s+12 kg[\s\S]*live for five years/);
});

test('a predefined Chinese encoding, by its character map', async () => {
  const [first, second] = await pagesOf('chinese.pdf');
  expect(first).toContain('图书馆每天早上九点开门,星期一休息。');
  expect(second).toContain('古籍不外借');
});

test.each([
  ['encrypted.pdf', fixture('encrypted.pdf'), 'filePdfEncrypted', { name: 'encrypted.pdf' }],
  ['picture.pdf', fixture('picture.pdf'), 'filePdfPictures', { name: 'picture.pdf', count: 2 }],
  ['cut.pdf', fixture('latex.pdf').subarray(0, 900), 'filePdfBroken', { name: 'cut.pdf' }],
  ['head.pdf', new TextEncoder().encode('%PDF-1.7\nand nothing'), 'filePdfBroken', { name: 'head.pdf' }],
])('%s is refused with a sentence', async (name, bytes, phrase, put) => {
  const refused = await readPdf(name, Uint8Array.from(bytes), PLACES).catch((error: unknown) => error);
  expect(refused).toMatchObject({ phrase, put });
  expect(EN_COMPOSER[phrase as keyof typeof EN_COMPOSER]).toContain('{name}');
});

test('a text whose character maps cannot be fetched is not taken for one without text', async () => {
  const refused = await read('chinese.pdf', { ...PLACES, map: () => Promise.reject(new TypeError('offline')) }).catch(
    (error: unknown) => error,
  );
  expect(refused).toMatchObject({ phrase: 'filePdfNoMaps' });
});

test('lines and paragraphs of a page', () => {
  const run = (str: string, y: number, hasEOL = true) => ({
    str,
    hasEOL,
    height: 10,
    transform: [10, 0, 0, 10, 50, y],
  });
  expect(
    pageText([run('one ', 700, false), run('line', 700), run('divi-', 688), run('ded', 676), run('next', 640)]),
  ).toBe('one line\ndivided\n\nnext');
  expect(pageText([run('\0x\ufffe \x0b\x0c\x0d\x0e\x0f \x1b\x1c\x1d\x1e\x1f', 700)])).toBe(
    'x fffiflffiffl fffiflffiffl',
  );
});
