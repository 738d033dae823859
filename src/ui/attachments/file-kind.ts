/** What a file is, by its first bytes, and by its name where they do not tell: pure. */

export type FileKind = 'pdf' | 'picture' | 'sound' | 'video' | 'model' | 'document' | 'archive' | 'text';

/** How many bytes are looked at: a PDF may begin within its first 1,024 (PDF 32000-1, annex H, note 13). */
export const HEAD_BYTES = 1024;

/** First bytes by kind, as the formats' own documents give them; `at` is where they stand. */
const SIGNATURES: readonly [kind: FileKind, bytes: string, at?: number][] = [
  ['picture', '\x89PNG'],
  ['picture', '\xff\xd8\xff'],
  ['picture', 'GIF8'],
  ['picture', 'WEBP', 8],
  ['picture', 'BM'],
  ['picture', 'II*\0'],
  ['picture', 'MM\0*'],
  ['picture', '\0\0\x01\0'],
  ['picture', 'ftypavif', 4],
  ['picture', 'ftyphei', 4],
  ['sound', 'WAVE', 8],
  ['sound', 'ID3'],
  ['sound', 'OggS'],
  ['sound', 'fLaC'],
  ['sound', 'ftypM4A', 4],
  ['video', 'ftyp', 4],
  ['video', '\x1aE\xdf\xa3'],
  ['video', 'AVI ', 8],
  ['model', 'GGUF'],
  ['archive', '\x1f\x8b'],
  ['archive', '7z\xbc\xaf'],
  ['archive', 'Rar!'],
];

const DOCUMENT = /\.(docx?|xlsx?|pptx?|od[tsp]|epub|pages|numbers|key|rtf)$/i;

/** @param head its first HEAD_BYTES bytes */
export function fileKind(name: string, head: Uint8Array): FileKind {
  const text = String.fromCharCode(...head.subarray(0, HEAD_BYTES));
  if (text.includes('%PDF-')) return 'pdf';
  // rich text is text, but of commands
  if (DOCUMENT.test(name) && ['PK', '\xd0\xcf\x11\xe0', '{\\rtf'].some((start) => text.startsWith(start)))
    return 'document';
  if (text.startsWith('PK\x03\x04')) return 'archive';
  // an MPEG frame: 11 bits, then version and layer, of which none may be the reserved one
  if (head[0] === 0xff && (head[1] & 0xe0) === 0xe0 && (head[1] & 0x06) !== 0 && head[1] < 0xfe) return 'sound';
  // "BM" may begin a text, too: a bitmap goes on with its length and two zeros
  const found = SIGNATURES.find(([, bytes, at = 0]) => text.startsWith(bytes, at) && (bytes !== 'BM' || head[6] === 0));
  if (found) return found[0];
  return /\.safetensors$/i.test(name) ? 'model' : 'text';
}
