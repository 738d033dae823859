/**
 * The text of a PDF, by pdf.js: in a worker of its own, without fonts, pictures, WebAssembly or code made from strings
 * (vite-trim.ts takes what could make some out of it). Character maps, without which a text in one of the predefined
 * Chinese, Japanese and Korean encodings would be missing, are fetched from beside the page as a PDF asks for them.
 */
import { getDocument, type PDFDocumentProxy, PDFWorker } from 'pdfjs-dist/legacy/build/pdf.mjs';
import { checkLength, PAGE_BREAK } from './attached-text';
import { Refused } from './refused';

const MOST_PAGES = 2000;
/** Of a document with less, the pages are pictures. */
const FEW_CHARACTERS = 20;

/** A run of text on a page, as pdf.js gives it; `transform` is its matrix, whose last two are where it begins. */
interface Run {
  str: string;
  hasEOL: boolean;
  transform: number[];
  height: number;
}

/** Whether the next line is so far below that a paragraph begins there. */
const isGap = (above: Run, below: Run) =>
  above.transform[5] - below.transform[5] > 1.7 * Math.max(above.height, below.height, 4);

/**
 * Ligatures as the fonts of TeX have them, where a file does not say what they stand for: in the encoding T1 from 27 on
 * (ff, fi, fl, ffi, ffl), in OT1 from 11 on (https://www.ctan.org/pkg/encguide).
 */
const LIGATURES = ['ff', 'fi', 'fl', 'ffi', 'ffl'];

/** What a run says; a form feed in it must not be taken for a page's end. */
const said = (text: string) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what they are taken for
  text.replace(/[\x0b-\x0f\x1b-\x1f]/g, (code) => LIGATURES[(code.charCodeAt(0) - 11) % 16]);

/** Lines of a page, with an empty one between paragraphs. */
export function pageText(runs: readonly Run[]): string {
  let text = '';
  let line: Run | null = null;
  for (const run of runs) {
    if (line && text.endsWith('\n') && run.str.trim() !== '' && isGap(line, run)) text += '\n';
    text += said(run.str);
    if (run.hasEOL) text += '\n';
    if (run.str.trim() !== '') line = run;
  }
  return (
    text
      // a word that was divided at the end of its line
      .replace(/(\p{Ll})[-\u00ad]\n(?=\p{Ll})/gu, '$1')
      .replace(/[^\S\n]+\n/g, '\n')
      .replace(/\n{3,}/g, '\n\n')
      // characters that no font has
      .replace(/[\0\ufffe\uffff]/g, '')
      .trim()
  );
}

/** Where the parts of pdf.js come from. */
export interface PdfPlaces {
  /** A character map, by the name of its file. */
  map(file: string): Promise<Uint8Array>;
  /** null: pdf.js's own way, in the same thread */
  worker: (() => Worker) | null;
}

/** Beside the page, where the build puts them (scripts/bundling/vite-site.ts). */
const PLACES: PdfPlaces = {
  async map(file) {
    const response = await fetch(new URL(`pdf/cmaps/${file}`, document.baseURI));
    if (!response.ok) throw new Error(`${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  },
  worker: () => new Worker(new URL('./pdf-worker.ts', import.meta.url), { type: 'module', name: 'nibble-pdf' }),
};

/**
 * @param bytes are handed over to the worker
 * @returns its pages, with PAGE_BREAK between them
 * @throws Refused encrypted, broken, longer than MOST_PAGES, without text, or in an encoding whose map is not to be had
 */
export async function readPdf(name: string, bytes: Uint8Array, { map, worker }: PdfPlaces = PLACES): Promise<string> {
  const port = worker?.();
  const failed =
    port &&
    new Promise<never>((_, reject) =>
      port.addEventListener('error', () => reject(new Refused('filePdfNoReader', { name }))),
    );
  const own = port ? PDFWorker.create({ port }) : undefined;
  // pdf.js goes on without a map, and leaves the text out
  let mapless = false;
  class Maps {
    async fetch({ kind, filename }: { kind: string; filename: string }): Promise<Uint8Array> {
      if (kind !== 'cMapUrl') throw new Error(`Nibble has no ${kind}.`);
      try {
        return await map(filename);
      } catch (error) {
        mapless = true;
        throw error;
      }
    }
  }
  const task = getDocument({
    data: bytes,
    worker: own,
    BinaryDataFactory: Maps,
    cMapUrl: '/',
    cMapPacked: true,
    useWorkerFetch: false,
    isEvalSupported: false,
    useWasm: false,
    useSystemFonts: false,
    disableFontFace: true,
    enableXfa: false,
    verbosity: 0,
  });
  try {
    const document = await Promise.race([task.promise, ...(failed ? [failed] : [])]);
    const text = await textOf(name, document);
    if (mapless) throw new Refused('filePdfNoMaps', { name });
    if (text.replace(/\s/g, '').length < FEW_CHARACTERS)
      throw new Refused('filePdfPictures', { name, count: document.numPages });
    return text;
  } catch (thrown) {
    if (thrown instanceof Refused) throw thrown;
    const encrypted = (thrown as Error)?.name === 'PasswordException';
    throw new Refused(encrypted ? 'filePdfEncrypted' : 'filePdfBroken', { name });
  } finally {
    await task.destroy().catch(() => {});
    own?.destroy();
    port?.terminate();
  }
}

async function textOf(name: string, document: PDFDocumentProxy): Promise<string> {
  const { numPages } = document;
  if (numPages > MOST_PAGES) throw new Refused('filePdfPages', { name, count: numPages });
  const pages: string[] = [];
  let length = 0;
  for (let number = 1; number <= numPages; number++) {
    const page = await document.getPage(number);
    const { items } = await page.getTextContent();
    pages.push(pageText(items.flatMap((item) => ('str' in item ? [item as Run] : []))));
    page.cleanup();
    length += pages[number - 1].length;
    checkLength(name, length);
  }
  return pages.join(PAGE_BREAK);
}
