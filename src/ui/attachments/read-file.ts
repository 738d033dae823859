/** A file that a person attaches, as text. */
import type { ModelInfo } from '../../protocol';
import { checkLength, PAGE_BREAK } from './attached-text';
import { decodeText } from './decode-text';
import { fileKind, HEAD_BYTES } from './file-kind';
import { Refused } from './refused';

/** Limits; the sentences of words/en.ts have the same numbers. */
const MOST_TEXT_BYTES = 8e6;
const MOST_PDF_BYTES = 100e6;

/**
 * Whether a loaded model was made to see pictures. Of the families that Nibble runs (src/model/families.ts) one was:
 * Gemma 3, from its 4B up (https://ai.google.dev/gemma/docs/core/model_card_3), of which the part that reads text runs
 * here.
 *
 * @returns null where that is not known
 */
export function seesPictures(info: Pick<ModelInfo, 'family' | 'parameters' | 'source'> | null): boolean | null {
  if (info === null || info.source === 'server') return null;
  return /^gemma3/.test(info.family) && info.parameters > 2e9;
}

/** The sentence for what is no text, by what it is. @param info of the model; null: there is none yet */
function refuse(name: string, kind: 'picture' | 'sound' | 'video', info: ModelInfo | null): Refused {
  const could = kind === 'picture' ? seesPictures(info) : info === null || info.source === 'server' ? null : false;
  const model = info?.name ?? '';
  if (kind === 'video') return new Refused('fileVideo', { name });
  if (kind === 'sound') return new Refused(could === null ? 'fileSound' : 'fileSoundNever', { name, model });
  return new Refused(could === null ? 'filePicture' : could ? 'filePictureCould' : 'filePictureNever', { name, model });
}

/**
 * @returns its text; a PDF's pages stand apart by PAGE_BREAK
 * @throws Refused what is no text, too much, encrypted, broken, or empty
 */
export async function readFile(file: File, info: ModelInfo | null): Promise<string> {
  const { name, size } = file;
  if (size === 0) throw new Refused('fileEmpty', { name });
  const kind = fileKind(name, new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer()));
  switch (kind) {
    case 'picture':
    case 'sound':
    case 'video':
      throw refuse(name, kind, info);
    case 'model':
      throw new Refused('fileModel', { name });
    case 'document':
      throw new Refused('fileDocument', { name });
    case 'archive':
      throw new Refused('fileArchive', { name });
    case 'pdf':
      if (size > MOST_PDF_BYTES) throw new Refused('filePdfTooLarge', { name, megabytes: Math.ceil(size / 1e6) });
      return readPdf(file);
    default:
      if (size > MOST_TEXT_BYTES) throw new Refused('fileTooLarge', { name, megabytes: Math.ceil(size / 1e6) });
  }
  const text = decodeText(new Uint8Array(await file.arrayBuffer()));
  if (text === null) throw new Refused('fileBinary', { name });
  if (text.trim() === '') throw new Refused('fileEmpty', { name });
  checkLength(name, text.length);
  return text.replaceAll(PAGE_BREAK, '\n');
}

async function readPdf(file: File): Promise<string> {
  let reader: typeof import('./read-pdf');
  try {
    reader = await import('./read-pdf');
  } catch {
    throw new Refused('filePdfNoReader', { name: file.name });
  }
  return reader.readPdf(file.name, new Uint8Array(await file.arrayBuffer()));
}
