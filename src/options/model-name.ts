/**
 * How a model may be called in words, in a program, an attribute, a query or a field:
 *
 *   'org/name'                   a repository of the Hugging Face Hub; 'org/name/file.gguf' one file of it
 *   'https://…/folder/'          a folder in Hugging Face layout; 'https://…/file.gguf' one file
 *   './path', '../path', '/path' the same, relative to the page
 *
 * In Node a name is first looked for on the disk (src/node/locate.ts).
 */

const HUB_ID = /^([\w-][\w.-]*\/[\w-][\w.-]*)(?:\/(.+\.gguf))?$/;
const ADDRESS = /^(https?:\/\/|\.{0,2}\/)/;

/** `id`: org/name of a repository of the Hub; `file`: a .gguf in it */
export type ModelName = { kind: 'hub'; id: string; file?: string } | { kind: 'http'; url: URL };

/**
 * @param base what paths are relative to; without one there are none
 * @returns null for what names no model
 */
export function parseModelName(text: string, base?: string): ModelName | null {
  const hub = HUB_ID.exec(text);
  if (hub) return { kind: 'hub', id: hub[1], file: hub[2] };
  return ADDRESS.test(text) && URL.canParse(text, base) ? { kind: 'http', url: new URL(text, base) } : null;
}

/**
 * The address of a .gguf, or of a folder with its ending slash: as a SourceDescription has it.
 * @param url becomes that
 */
export function baseOf(url: URL): string {
  url.hash = '';
  if (!/(\.gguf|\/)$/.test(url.pathname)) url.pathname += '/';
  return url.href;
}

const HUB_PAGE =
  /^https:\/\/(?:huggingface\.co|hf\.co)\/([\w.-]+\/[\w.-]+)(?:\/(?:tree|blob|resolve)\/([^/]+)(?:\/(.+))?)?$/;

/**
 * A model by the address of its page on the Hub, as it stands in the address bar of who looks at it there.
 * @returns the name that load() takes, and the revision as the address has it; null for any other address
 */
export function parseHubPage(address: string): { name: string; revision?: string } | null {
  const [, id, revision, file] = HUB_PAGE.exec(address.replace(/[?#].*$|\/+$/g, '')) ?? [];
  return id ? { name: file?.endsWith('.gguf') ? `${id}/${file}` : id, revision } : null;
}
